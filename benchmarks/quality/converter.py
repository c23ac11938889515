"""A clip and a voice -> the clip in that voice by `autosing convert`, as files, and the pitch that was asked for.

Shapes: S samples at RATE_HZ, T values of pitch at 100 Hz.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clips import RATE_HZ, Clip

from autosing.audio.io import Audio, decode, save
from inference.voice.convert import ConvertConfig, Request, convert
from inference.voice.pitch_csv import read_pitch_csv
from inference.voice.singers import Voice


@dataclass(frozen=True)
class Made:
    """A sound at RATE_HZ and the pitch that was asked for."""

    audio_S: np.ndarray
    asked_hz_T: np.ndarray


class Converter:
    """Clips in other voices, by the product's own command, as files."""

    def __init__(self, run: Path, config: ConvertConfig, work: Path) -> None:
        self._run, self._config, self.work = run, config, work

    def __call__(self, clip: Clip, voice: Voice, way: str, as_it_is: bool = False) -> Made:
        """`as_it_is`: at the clip's own pitch."""
        config = self._config.model_copy(update={"key": "keep", "shift": 0.0}) if as_it_is else self._config
        source, out = (self.work / f"{clip.song}-{name}.wav" for name in ("source", way))
        save(Audio(clip.audio_S[None], RATE_HZ), source)
        pitch = out.with_suffix(".csv")
        convert(Request(self._run, source, out, voice, pitch_out=pitch, config=config))
        rows = len(pitch.read_text(encoding="utf-8").splitlines()) - 1
        return Made(decode(out).resampled(RATE_HZ).samples_CS[0], read_pitch_csv(pitch, rows))
