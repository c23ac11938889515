"""Made songs and real voices -> how much of pitch and words a codec keeps, as JSON on stdout.

python benchmarks/quality/codec.py SONGS [--voices FOLDER ...] [--codec NAME] [--songs 24] [--seconds 30]
    [--no-words] [--keep FILE]

SONGS is what `autosing songs` writes (truth/<id>/{vocals_dry.flac,f0.npy,truth.json}); use a seed that no codec was
trained on. FOLDER holds a-cappella clips of real singers (any depth; flac, ogg, mp3, wav). Pitch is measured on so many
seconds from the start of each clip.

Pitch: of the frames that FCPE calls voiced in the original, the share where FCPE finds the reconstruction's pitch
within 50 cents (a frame called unvoiced misses); the same by range of the original's pitch and by clip; for made songs
also against the true f0. Words: error rate of Whisper base (language given, its fallback seeded) over all words, as
autosing.metrics.recognition counts them (Mandarin: characters; figures before 2026-11-26 knew no normaliser for
English), for the original, for a control (the original x 0.8 with noise at -60 dBFS) and for the reconstruction. --keep
holds what Whisper heard in originals and controls, so that the next run need not ask again.
"""

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosing.audio.io import decode, resample
from autosing.audio.pitch import load_tracker
from autosing.codecs import codec_digest, load_codec
from autosing.codecs.base import Codec
from autosing.metrics.controls import noisy
from autosing.metrics.pitch import pitch_scores
from autosing.metrics.recognition import Recognised, error_rates, recognised
from autosing.models.whisper import load_whisper

RANGES_HZ = (0, 110, 165, 247, 370, 4000)
"""Bounds of the voice ranges: A2, E3, B3, F#4."""
TRUTH_RATE_HZ = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("--voices", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--codec", default="autosing-24khz")
    parser.add_argument("--songs", dest="limit", type=int, default=24)
    parser.add_argument("--no-words", action="store_true")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    codec = load_codec(given.codec)
    folders = sorted((given.songs / "truth").iterdir())[: given.limit]
    result: dict[str, Any] = {"codec": given.codec, "digest": codec_digest(given.codec)}
    result["bits_per_s"] = round(bits_per_s(codec))
    started = time.monotonic()
    clock = {"audio_s": 0.0, "codec_s": 0.0}
    result["made"] = pitch([folder / "vocals_dry.flac" for folder in folders], codec, clock, given.seconds)
    if given.voices:
        endings = {".flac", ".ogg", ".mp3", ".wav"}
        paths = sorted(p for folder in given.voices for p in folder.rglob("*") if p.suffix in endings)
        result["real"] = pitch(paths, codec, clock, given.seconds)
    if not given.no_words:
        result["words"] = words(folders, codec, given.keep)
    result["times_real_time"] = round(clock["audio_s"] / clock["codec_s"], 1)
    result["seconds"] = round(time.monotonic() - started)
    print(json.dumps(result, indent=1))


def bits_per_s(codec: Codec) -> float:
    spec = codec.spec
    codes = zip(spec.strides, spec.codebook_sizes, strict=True)
    return float(sum(spec.frame_rate_hz / stride * np.log2(size) for stride, size in codes))


def reconstruct(
    path: Path, codec: Codec, clock: dict[str, float], seconds: float = 3600.0
) -> tuple[np.ndarray, np.ndarray]:
    """(original_S, reconstruction_S) at the codec's rate, of one length, from the start of the clip."""
    rate = codec.spec.sample_rate_hz
    audio = decode(path).cut(0.0, seconds)
    original_S = resample(audio.mono_S(), audio.sample_rate_hz, rate)
    started = time.monotonic()
    made_S = codec.decode_flat(codec.encode_flat(original_S))[: len(original_S)]
    clock["codec_s"] += time.monotonic() - started
    clock["audio_s"] += len(original_S) / rate
    return original_S, made_S


def pitch(paths: list[Path], codec: Codec, clock: dict[str, float], seconds: float) -> dict[str, Any]:
    track = load_tracker("fcpe")
    rate = codec.spec.sample_rate_hz
    pitches, errors, clips, truths = [], [], {}, []
    for path in paths:
        original_S, made_S = reconstruct(path, codec, clock, seconds)
        before_T, after_T = track(original_S, rate), track(made_S, rate)
        voiced_T = before_T > 0
        error_T = np.full(len(before_T), np.inf)
        both_T = voiced_T & (after_T > 0)
        error_T[both_T] = 1200 * np.abs(np.log2(after_T[both_T] / before_T[both_T]))
        pitches.append(before_T[voiced_T])
        errors.append(error_T[voiced_T])
        clips[path.parent.name if path.stem == "vocals_dry" else path.stem] = within(errors[-1])
        truth = path.with_name("f0.npy")
        if truth.is_file():
            true_T = np.load(truth)[: round(seconds * TRUTH_RATE_HZ)]
            truths.append([pitch_scores(true_T, TRUTH_RATE_HZ, f0_T, 100)["accuracy"] for f0_T in (before_T, after_T)])
    pitch_N, error_N = np.concatenate(pitches), np.concatenate(errors)
    ranges = {}
    for low, high in pairwise(RANGES_HZ):
        chosen_N = (pitch_N >= low) & (pitch_N < high)
        ranges[f"{low}-{high} Hz"] = {"within_50_cents": within(error_N[chosen_N]), "frames": int(chosen_N.sum())}
    worst = min(clips, key=lambda name: clips[name])
    found: dict[str, Any] = {
        "clips": len(paths),
        "within_50_cents": within(error_N),
        "median_cents": round(float(np.median(error_N)), 2),
        "by_range": ranges,
        "worst_clip": {worst: clips[worst]},
    }
    if truths:
        names = ("original_to_truth", "reconstruction_to_truth")
        found |= dict(zip(names, np.round(np.mean(truths, axis=0), 4).tolist(), strict=True))
    return found


def within(error_N: np.ndarray) -> float:
    return round(float((error_N <= 50).mean()), 4) if len(error_N) else 1.0


def words(folders: list[Path], codec: Codec, keep: Path | None) -> dict[str, Any]:
    kept: dict[str, str] = json.loads(keep.read_text()) if keep and keep.is_file() else {}
    heard: dict[str, dict[str, list[Recognised]]] = {}
    rate = codec.spec.sample_rate_hz
    for folder in folders:
        truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        language = truth["language"]
        original_S, made_S = reconstruct(folder / "vocals_dry.flac", codec, {"codec_s": 0.0, "audio_s": 0.0})
        asked = " ".join(line["text"] for line in truth["lines"])
        said = heard.setdefault(language, {"original": [], "control": [], "codec": []})
        for name, audio_S in (("original", original_S), ("control", noisy(original_S)), ("codec", made_S)):
            key = f"{folder.name} {name}"
            text = kept[key] if key in kept and name != "codec" else transcribe(audio_S, rate, language)
            kept[key] = text
            said[name].append(recognised(asked, text, language))
        if keep:
            keep.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")
    everything = {
        name: [song for said in heard.values() for song in said[name]] for name in ("original", "control", "codec")
    }
    rates = {name: error_rate(songs) for name, songs in everything.items()}
    return {
        "songs": len(folders),
        "error_rate": rates,
        "above_control": round(rates["codec"] - rates["control"], 4),
        "by_language": {
            language: {name: error_rate(songs) for name, songs in said.items()} for language, said in heard.items()
        },
    }


def error_rate(songs: list[Recognised]) -> float:
    return round(error_rates(songs, capped=False)["wer"], 4)


def transcribe(audio_S: np.ndarray, rate: int, language: str) -> str:
    """Whisper's own fallback to higher temperatures stays on: without it songs fall into loops that drown the rest."""
    torch.manual_seed(0)
    audio_16k_S = resample(audio_S, rate, 16000).astype(np.float32)
    heard = load_whisper("whisper-base").transcribe(
        audio_16k_S, language=language, best_of=1, condition_on_previous_text=False, fp16=False
    )
    return str(heard["text"])


if __name__ == "__main__":
    main()
