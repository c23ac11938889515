"""Made songs -> what content codes keep, as JSON: which sound is sung (wanted), who sings (not wanted), for each layer.

    python benchmarks/semantic.py SONGS [--layers 1,2,3,4,5,6] [--codes 256] [--codebook NAME_OR_RUN]

SONGS is a folder of `autosing songs`. A code is asked for the phoneme, and for the singer, that it went with most often
in the first 60 % of each song; the share that is right in the rest is reported, on sung codes. `steady` is the share of
codes that stay the same when the voice is played faster or slower. Each layer is projected by discriminant analysis
and by PCA; `--codebook` judges a finished one instead.

Shapes: M moments of 40 ms, E encoder width, D code width.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from autosing.audio.io import Audio, decode
from autosing.ids import seed_of
from autosing.models.bundled import SEMANTIC
from autosing.models.semantic import CODE_SAMPLES, SAMPLE_RATE_HZ, WhisperFeatures, load_semantic
from autosing.nn.quantize import Level
from train.augment import varispeed
from train.tasks.semantic import Statistics

_WINDOW_S, _DIM, _FLOOR = 10, 64, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("--layers", default="1,2,3,4,5,6")
    parser.add_argument("--codes", type=int, default=256)
    parser.add_argument("--codebook")
    given = parser.parse_args()
    layers = [int(layer) for layer in given.layers.split(",")]
    if given.codebook:
        layers = [load_semantic(given.codebook or SEMANTIC).config.layer]
    heard = [hear(folder, layers) for folder in sorted((given.songs / "truth").iterdir())]
    rows = []
    for place, layer in enumerate(layers):
        first_ME, again_ME = (torch.cat([song[key][:, place] for song in heard]) for key in ("first", "again"))
        labels = {key: np.concatenate([song[key] for song in heard]) for key in ("phone", "singer", "known")}
        for kind in ["codebook"] if given.codebook else ["discriminant", "pca"]:
            codes, moved = code(kind, given, first_ME, again_ME, torch.from_numpy(labels["known"]))
            rows.append({"layer": layer, "projection": kind, **judge(codes, moved, labels)})
    print(json.dumps(rows, indent=1))


def hear(folder: Path, layers: list[int]) -> dict[str, np.ndarray | Tensor]:
    """One song's true voice: features of both hearings [M, layers, E], phonemes, singer, which moments are known."""
    truth = json.loads((folder / "truth.json").read_text())
    voice = decode(folder / "vocals.flac")
    mono_S = Audio(voice.mono_S()[None], voice.sample_rate_hz).resampled(SAMPLE_RATE_HZ).samples_CS[0]
    features = WhisperFeatures("whisper-base", max(layers))
    first, again = [], []
    rng = np.random.default_rng(seed_of("second hearing", folder.name))
    for start in range(0, len(mono_S) - SAMPLE_RATE_HZ, _WINDOW_S * SAMPLE_RATE_HZ):
        audio_S = mono_S[start : start + _WINDOW_S * SAMPLE_RATE_HZ]
        count = len(audio_S) // CODE_SAMPLES
        speed = 2 ** rng.uniform(-4 / 12, 4 / 12)
        found = _layers(features, audio_S, layers)
        moved = _layers(features, varispeed(audio_S, round(len(audio_S) / speed)), layers)
        place = torch.from_numpy(((np.arange(count) + 0.5) / speed - 0.5).round().astype(int).clip(0, len(moved) - 1))
        first.append(found[:count])
        again.append(moved[place])
    times = (np.arange(sum(map(len, first))) + 0.5) / 25
    phone = np.full(len(times), "_", dtype="U12")
    for item in truth["phonemes"]:
        phone[(times >= item["start"]) & (times < item["end"])] = item["phone"]
    return {
        "first": torch.cat(first), "again": torch.cat(again), "phone": phone,
        "singer": np.full(len(times), truth["artist"]), "known": times < 0.6 * times[-1],
    }  # fmt: skip


def code(kind: str, given: argparse.Namespace, first_ME: Tensor, again_ME: Tensor, known_M: Tensor) -> list[np.ndarray]:
    """Codes of both hearings; what is fitted is fitted on the known moments."""
    if kind == "codebook":
        book = load_semantic(given.codebook)._book
        return [book(x_ME).numpy() for x_ME in (first_ME, again_ME)]
    statistics = Statistics(first_ME.shape[1], 1)
    statistics.add(first_ME[known_M], again_ME[known_M])
    if kind == "pca":  # the same with nothing known of the second hearing: every direction moves alike
        statistics.moved_EE.copy_(torch.diag(1 / statistics.solve(_DIM, _FLOOR)[1].square()))
    mean_E, scale_E, projection_DE = (tensor.float() for tensor in statistics.solve(_DIM, _FLOOR))
    points = [(x_ME - mean_E) * scale_E @ projection_DE.mT for x_ME in (first_ME, again_ME)]
    level = Level(given.codes, _DIM)
    level.start(torch.cat([p[known_M] for p in points]), torch.Generator().manual_seed(0))
    return [level.nearest(p).numpy() for p in points]


def judge(codes: np.ndarray, moved: np.ndarray, labels: dict[str, np.ndarray]) -> dict[str, float]:
    sung, known = labels["phone"] != "_", labels["known"]
    return {
        "phoneme": _told(codes, codes, labels["phone"], known, sung & ~known),
        "phoneme_moved": _told(codes, moved, labels["phone"], known, sung & ~known),
        "singer": _told(codes, codes, labels["singer"], known & sung, sung & ~known),
        "singer_by_chance": round(1 / len(set(labels["singer"])), 3),
        "steady": round(float((codes == moved)[sung].mean()), 3),
        "codes_used": len(set(codes.tolist())),
    }


def _told(codes: np.ndarray, asked: np.ndarray, labels: np.ndarray, known: np.ndarray, tested: np.ndarray) -> float:
    names, number = np.unique(labels, return_inverse=True)
    counts = np.zeros((max(codes.max(), asked.max()) + 1, len(names)))
    np.add.at(counts, (codes[known], number[known]), 1)
    return round(float((counts.argmax(axis=1)[asked] == number)[tested].mean()), 3)


def _layers(features: WhisperFeatures, audio_S: np.ndarray, layers: list[int]) -> Tensor:
    whole = len(audio_S) // CODE_SAMPLES * CODE_SAMPLES
    found = features.layers(torch.from_numpy(np.ascontiguousarray(audio_S[:whole]))[None])
    return torch.stack([found[layer - 1][0] for layer in layers], dim=1)


if __name__ == "__main__":
    main()
