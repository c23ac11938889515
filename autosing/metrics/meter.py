"""Sounds -> their figures by the packages: pitch, voice, words, spectra. Each is measured once (see `kept`).

Shapes: S samples, T values of pitch at 100 Hz, E = 256 numbers of a voice, M mel bands.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from autosing.audio.pitch import load_tracker, tracker_version
from autosing.errors import InputError
from autosing.metrics import pitch, recognition, spectral, timbre
from autosing.metrics.kept import Kept
from autosing.metrics.pitch import PitchErrors
from autosing.models.speaker import load_speaker_encoder
from autosing.pretrained import digest
from autosing.timebase import PITCH_RATE_HZ

VERSION = 1
"""Of the metrics in autosing.metrics: a change of their results is a change of this number."""
WHISPER = "whisper-base"


class Meter:
    """All sounds that one meter is given are at one rate."""

    def __init__(self, kept: Kept, sample_rate_hz: int, device: str = "cpu") -> None:
        self.kept, self.rate_hz, self._device = kept, sample_rate_hz, device

    def f0_hz(self, audio_S: np.ndarray) -> np.ndarray:
        """f0_hz_T by FCPE, 0 where unvoiced."""
        config = {"version": tracker_version("fcpe"), "rate": self.rate_hz}
        return self.kept.array(
            "f0", config, [audio_S], lambda: load_tracker("fcpe", self._device)(audio_S, self.rate_hz)
        )

    def voice(self, audio_S: np.ndarray) -> np.ndarray | None:
        """voice_E by GE2E; None where too little of it sounds."""
        config = {"weights": digest("ge2e"), "rate": self.rate_hz}
        return self._where_it_sounds(
            "voice", config, audio_S, lambda: load_speaker_encoder(self._device).embed(audio_S, self.rate_hz)
        )

    def spectrum(self, audio_S: np.ndarray) -> np.ndarray | None:
        """spectrum_M by autosing.metrics.timbre; None where nothing sounds."""
        config = {"version": VERSION, "rate": self.rate_hz}
        return self._where_it_sounds(
            "spectrum", config, audio_S, lambda: timbre.average_spectrum_db(audio_S, self.rate_hz)
        )

    def pitch_errors(self, asked_hz_T: np.ndarray, made_S: np.ndarray) -> PitchErrors:
        """Of a sound against the f0 that was asked for, at 100 Hz."""

        def work() -> dict[str, float | None]:
            return asdict(pitch.pitch_errors(asked_hz_T, PITCH_RATE_HZ, self.f0_hz(made_S), PITCH_RATE_HZ))

        return PitchErrors(**self.kept.figure("pitch_errors", self._by_fcpe(), [asked_hz_T, made_S], work))

    def chroma(self, asked_hz_T: np.ndarray, made_S: np.ndarray) -> float:
        """Raw chroma accuracy of mir_eval."""

        def work() -> float:
            found_T = self.f0_hz(made_S)
            return pitch.pitch_scores(asked_hz_T, PITCH_RATE_HZ, found_T, PITCH_RATE_HZ)["chroma"]

        return float(self.kept.figure("chroma", self._by_fcpe(), [asked_hz_T, made_S], work))

    def mel_distance_db(self, true_S: np.ndarray, made_S: np.ndarray) -> float:
        return self._spectral("mel_distance_db", true_S, made_S)

    def mcd_db(self, true_S: np.ndarray, made_S: np.ndarray) -> float:
        return self._spectral("mcd_db", true_S, made_S)

    def lsd_db(self, true_S: np.ndarray, made_S: np.ndarray) -> float:
        return self._spectral("lsd_db", true_S, made_S)

    def heard(self, audio_S: np.ndarray, language: str) -> str:
        """The words that Whisper base hears, at temperature 0."""
        config = {"whisper": WHISPER, "weights": digest(WHISPER), "language": language, "rate": self.rate_hz}
        text: str = self.kept.figure(
            "heard", config, [audio_S], lambda: recognition.hear(audio_S, self.rate_hz, language, WHISPER)
        )
        return text

    def _where_it_sounds(
        self, name: str, config: dict[str, Any], audio_S: np.ndarray, measure: Callable[[], np.ndarray]
    ) -> np.ndarray | None:
        """None, which is kept as an empty array, where `measure` raises InputError."""

        def work() -> np.ndarray:
            try:
                return measure()
            except InputError:
                return np.zeros(0, np.float32)

        found = self.kept.array(name, config, [audio_S], work)
        return found if len(found) else None

    def _by_fcpe(self) -> dict[str, str | int]:
        return {"tracker": tracker_version("fcpe"), "rate": self.rate_hz, "version": VERSION}

    def _spectral(self, name: str, true_S: np.ndarray, made_S: np.ndarray) -> float:
        config = {"rate": self.rate_hz, "version": VERSION}
        return float(
            self.kept.figure(
                name, config, [true_S, made_S], lambda: getattr(spectral, name)(true_S, made_S, self.rate_hz)
            )
        )
