"""A seed and a count -> windows as Whisper hears them, with their words, kept in a folder so that a killed run goes on.

Shapes: T = 1500 frames of 20 ms, D Whisper's width.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from autosing import console
from autosing.models.bundled import LETTERS_ENCODER
from autosing.storage.store import replacing
from train.letters.windows import TimedWord, make_window


@dataclass(frozen=True)
class HeardWindow:
    """states_TD (float16) of Whisper's encoder, and when the words in it sound."""

    states_TD: np.ndarray
    words: list[TimedWord]


def hear_windows(folder: Path, seed: int, count: int) -> list[HeardWindow]:
    """Make and hear what is missing (2 to 3 CPU s a window), read the rest. Windows without a word are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    made = list(console.progress(_made(folder, seed, count), "windows", count))
    return [window for window in made if window.words]


def _made(folder: Path, seed: int, count: int) -> Iterator[HeardWindow]:
    for index in range(count):
        path = folder / f"{seed}-{index}.npz"
        if not path.is_file():
            _make(path, seed, index)
        with np.load(path) as held:
            words = [TimedWord(**word) for word in json.loads(str(held["words"]))]
            yield HeardWindow(held["states"], words)


def _make(path: Path, seed: int, index: int) -> None:
    import torch
    import whisper

    from autosing.models.whisper import load_encoder

    window, encoder = make_window(seed, index), load_encoder(LETTERS_ENCODER)
    with torch.inference_mode():
        mel_MT = whisper.log_mel_spectrogram(whisper.pad_or_trim(window.audio_S), encoder.conv1.in_channels)
        states_TD = encoder(mel_MT[None])[0].half().numpy()
    words = json.dumps([asdict(word) for word in window.words], ensure_ascii=False)
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, states=states_TD, words=np.array(words))
