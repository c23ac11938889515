"""A clip -> the same clip as if another sang it, and that other voice's vector: what a conversion has to make.

In a dataset each clip is sung by one who is heard in its content, too. So a model may take from the content who sings,
and it meets only as many voices as there are singers. Of a recast clip the content is the singer's, the sound and the
vector are another's: the same singing with other formants and another spectral balance.

Shapes: S samples, T values of pitch at 100 Hz, E = 256 singer.
"""

import numpy as np
from pydantic import Field

from autosing.config import Config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.models.speaker import load_speaker_encoder
from autosing.models.told import f0_at
from autosing.schemas.sample import Sample
from autosing.timebase import PITCH_RATE_HZ
from train.augment import Disguise, disguised

_HEARD_S = 6.0
"""So much of a clip tells its vector: in GE2E's terms seven partials."""
_KEPT = 1 << 16
"""Vectors kept at most, 1 kB each."""


class RecastConfig(Config):
    """How often, and how far from the singer's own voice."""

    share: float = Field(default=0.0, ge=0, le=1)
    """How often a clip is sung by another voice in training; never in validation."""
    voices: int = Field(default=2, ge=1)
    """Different voices for each clip. The vector of each is computed once in a worker, then kept."""
    change: Disguise = Disguise(pitch_semitones=0.0, formant_semitones=2.0, eq_db=5.0)
    """Pitch is best left alone: it is told apart from the voice, and the told one must be that of the sound."""


class Recaster:
    """Everything follows from a clip's id and the number of the voice; the vectors that are kept change nothing."""

    def __init__(self, config: RecastConfig) -> None:
        self._config, self._kept = config, dict[tuple[str, int], np.ndarray | None]()

    def __call__(
        self, sample: Sample, voice: int, crop_S: np.ndarray, sample_rate_hz: int, start_s: float
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """(audio_S, singer_E) of a crop that begins at `start_s` of its clip, as loud as it was; None where too little
        of the clip sounds to tell a voice."""
        if (sample.id, voice) not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[sample.id, voice] = self._vector(sample, voice, sample_rate_hz)
        vector_E = self._kept[sample.id, voice]
        if vector_E is None:
            return None
        made_S = self._changed(sample, voice, crop_S, sample_rate_hz, start_s)
        before, after = (float(np.sqrt(np.mean(np.square(x_S)))) for x_S in (crop_S, made_S))
        return made_S * np.float32(before / max(after, 1e-6)), vector_E

    def _vector(self, sample: Sample, voice: int, sample_rate_hz: int) -> np.ndarray | None:
        """By the same change at the same rate: a random frequency response reaches to half of it."""
        vocals = sample.audio("vocals").cut(0.0, _HEARD_S).resampled(sample_rate_hz)
        changed_S = self._changed(sample, voice, vocals.mono_S(), sample_rate_hz, 0.0)
        try:
            vector_E: np.ndarray = load_speaker_encoder().embed(changed_S, sample_rate_hz)
        except InputError:
            return None
        return vector_E

    def _changed(
        self, sample: Sample, voice: int, audio_S: np.ndarray, sample_rate_hz: int, start_s: float
    ) -> np.ndarray:
        rate = float(PITCH_RATE_HZ)
        times_s_T = start_s + np.arange(round(len(audio_S) / sample_rate_hz * rate)) / rate
        rng = np.random.default_rng(seed_of("recast", sample.id, voice))
        return disguised(audio_S, sample_rate_hz, rng, self._config.change, f0_at(sample.array("pitch"), times_s_T))
