"""python -m train.phone_classes OUT SONGS ... [--steps N] [--seed N]

Made songs, whose phones have exact times -> the classifier of phones (autosing.models.phone_classes) in the folder OUT.
Each song is heard dry and in its room; each tenth song is held out. Prints what share of held-out frames is right.

Shapes: B windows, T frames, M mel bands, C classes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from autosing import console
from autosing.audio.io import Audio, resample
from autosing.checkpoint import save_model
from autosing.models.phone_classes import PhoneClasses, mel_frames, phone_classes_file
from autosing.score.made import score_of_truth
from autosing.score.score import Phone
from autosing.score.sounds import CLASSES, HOP_SAMPLES, SAMPLE_RATE_HZ, class_of
from autosing.songs.truth import load_stems, load_truth, song_ids

WINDOW = 300
_BATCH, _RATE = 32, 2e-3
_HELD_OUT = 10
Frames = tuple[np.ndarray, np.ndarray]
"""(mel_TM, class_T) of a song."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("songs", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    songs = [(folder, song) for folder in given.songs for song in song_ids(folder)]
    held_out: list[Frames] = []
    train: list[Frames] = []
    for number, (folder, song) in enumerate(console.progress(songs, "songs", len(songs))):
        (held_out if number % _HELD_OUT == 0 else train).extend(frames_of(folder, song))
    network, log_prior_C = fit(train, given.steps, given.seed)
    save_model(given.out, **vars(phone_classes_file(network, log_prior_C)))
    share, by_class = accuracy(network, held_out)
    rows = [{"class": name, "right": round(right, 3)} for name, right in zip(CLASSES, by_class, strict=True)]
    console.summary(f"phone classes {given.out}", [{"class": "all", "right": round(share, 4)}, *rows], False)


def frames_of(folder: Path, song: str) -> list[Frames]:
    """The song's voice, dry and in its room."""
    score = score_of_truth(load_truth(folder, song))
    stems = load_stems(folder, song)
    return [_labelled(stem, score.phones) for stem in (stems.vocals_dry, stems.vocals)]


def _labelled(stem: Audio, phones: Sequence[Phone]) -> Frames:
    mel_TM = mel_frames(resample(stem.mono_S(), stem.sample_rate_hz, SAMPLE_RATE_HZ))
    class_T = np.zeros(len(mel_TM), np.int64)
    rate = SAMPLE_RATE_HZ / HOP_SAMPLES
    for phone in phones:
        assert phone.start_s is not None and phone.end_s is not None, phone
        class_T[round(phone.start_s * rate) : round(phone.end_s * rate)] = class_of()[phone.symbol]
    return mel_TM.astype(np.float16), class_T


def fit(songs: Sequence[Frames], steps: int, seed: int) -> tuple[PhoneClasses, Tensor]:
    """The network after so many steps of random windows, and the log-priors of the classes it was shown."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = PhoneClasses()
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, steps, pct_start=0.1)
    network.train()
    for _ in range(steps):
        mel_BTM, class_BT = _batch(songs, rng)
        loss = F.cross_entropy(network(mel_BTM).transpose(1, 2), class_BT, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    counts = np.bincount(np.concatenate([class_T for _, class_T in songs]), minlength=len(CLASSES)) + 1
    return network.eval(), torch.from_numpy(np.log(counts / counts.sum())).float()


def _batch(songs: Sequence[Frames], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Windows with a random tilt, level and floor of noise: microphones, rooms and separators differ."""
    mels, classes = [], []
    for _ in range(_BATCH):
        mel_TM, class_T = songs[int(rng.integers(len(songs)))]
        first = int(rng.integers(max(len(mel_TM) - WINDOW, 1)))
        mel: np.ndarray = mel_TM[first : first + WINDOW].astype(np.float32)
        mel = mel + rng.normal(0, 0.1) + rng.normal(0, 0.15) * np.linspace(-1, 1, mel.shape[1])[None]
        floor = rng.uniform(-2.1, -0.9)
        mel = np.logaddexp(3 * mel, 3 * (floor + 0.1 * rng.standard_normal(mel.shape))) / 3
        mels.append(np.pad(mel, ((0, WINDOW - len(mel)), (0, 0)), constant_values=-2))
        classes.append(np.pad(class_T[first : first + WINDOW], (0, WINDOW - len(mel))))
    return torch.from_numpy(np.stack(mels).astype(np.float32)), torch.from_numpy(np.stack(classes))


@torch.no_grad()
def accuracy(network: PhoneClasses, songs: Sequence[Frames]) -> tuple[float, list[float]]:
    """(share of frames that are right, the same of each class; NaN where it is absent)."""
    right, total = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    for mel_TM, class_T in songs:
        found_T = network(torch.from_numpy(mel_TM.astype(np.float32))[None])[0].argmax(dim=1).numpy()
        right += np.bincount(class_T[found_T == class_T], minlength=len(CLASSES))
        total += np.bincount(class_T, minlength=len(CLASSES))
    with np.errstate(invalid="ignore"):
        return float(right.sum() / total.sum()), [float(share) for share in right / total]


if __name__ == "__main__":
    main()
