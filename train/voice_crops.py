"""A clip of a dataset -> a crop of its sound, and what a conversion model is told of it.

Shapes: S samples, F frames of the model, N content frames (50 Hz), C numbers of content, T values at 100 Hz.
"""

from typing import Any

import numpy as np
from pydantic import Field
from torch import Tensor

from autosing.audio.io import Audio
from autosing.config import Config
from autosing.models.content import Content, load_content
from autosing.models.told import Told, content_at, f0_at, loudness_at
from autosing.nn.excitation import fill_gaps
from autosing.schemas.records import Part
from autosing.schemas.sample import Sample
from autosing.timebase import PITCH_RATE_HZ
from train.augment import Disguise, disguised
from train.crops import crop, unclipped_db
from train.recast import RecastConfig, Recaster
from train.singers import Singers


class CropConfig(Config):
    """How crops are cut and changed."""

    frames: int = Field(default=120, ge=16)
    """Of the model."""
    loudness_shift_db: float = Field(default=6.0, ge=0)
    """Crops are made louder or quieter by up to so much."""
    disguise_share: float = Field(default=0.0, ge=0, le=1)
    """How often content is heard anew from the crop in another voice, in training only. Costs an encoder's pass."""
    disguise: Disguise = Disguise()
    drop_encoder: float = Field(default=0.0, ge=0, le=1)
    """Of several encoders of content, how often one is not heard in training, so that none is relied on alone."""
    recast: RecastConfig = RecastConfig()
    """Clips sung by other voices than their content is heard from."""
    files: dict[str, str] = Field(default_factory=dict)
    """Content encoder -> its file of weights, where it is the user's own; see the stage."""


class VoiceCrops:
    """Crops for a model of so many samples a frame. Used in loader workers, so encoders are loaded when first asked."""

    def __init__(
        self, config: CropConfig, parts: tuple[Part, ...], hop_samples: int, sample_rate_hz: int, singers: Singers
    ) -> None:
        self.config, self._parts, self._singers = config, parts, singers
        self._hop, self._rate = hop_samples, sample_rate_hz
        self._content: Content | None = None
        self._recast = Recaster(config.recast)

    def cut(self, sample: Sample, rng: np.random.Generator, training: bool) -> dict[str, Any]:
        """audio_S, f0_F (0 where unvoiced), loudness_F, singer_E, content_CF, and inside_F: which frames are the
        clip's; silence follows them."""
        config, rate = self.config, self._rate
        cut = crop(sample, rng, config.frames, self._hop, rate)
        sung_S, singer_E = cut.audio_S, self._singers.of(sample)
        gain_db = rng.uniform(-config.loudness_shift_db, config.loudness_shift_db)
        if training and rng.random() < config.recast.share:
            voice = int(rng.integers(config.recast.voices))
            sung_S, singer_E = self._recast(sample, voice, sung_S, rate, cut.start_s) or (sung_S, singer_E)
        gain_db = unclipped_db(gain_db, sung_S)
        gain = np.float32(10 ** (gain_db / 20))
        if training and rng.random() < config.disguise_share:
            heard_S = cut.audio_S * gain
            at_T = cut.start_s + np.arange(round(len(heard_S) / rate * float(PITCH_RATE_HZ))) / float(PITCH_RATE_HZ)
            moved_S = disguised(heard_S, rate, rng, config.disguise, f0_at(sample.array("pitch"), at_T))
            content_FC = content_at(self._hear()(Audio(moved_S[None], rate)), cut.times_s_F - cut.start_s)
        else:
            content_FC = content_at(sample.array("content"), cut.times_s_F)
        if training and len(self._parts) > 1 and rng.random() < config.drop_encoder:
            content_FC = self._without_one(content_FC, int(rng.integers(len(self._parts))))
        return {
            "audio": (sung_S * gain).astype(np.float32), "f0": cut.f0_hz_F, "content": content_FC.T,
            "loudness": loudness_at(sample.array("loudness"), cut.times_s_F) + np.float32(gain_db),
            "singer": singer_E,
            "inside": cut.times_s_F < sample.meta.duration_s,
        }  # fmt: skip

    def _without_one(self, content_FC: np.ndarray, dropped: int) -> np.ndarray:
        begin = sum(part.width for part in self._parts[:dropped])
        kept_FC = content_FC.copy()
        kept_FC[:, begin : begin + self._parts[dropped].width] = 0
        return kept_FC

    def _hear(self) -> Content:
        """The dataset's own encoders."""
        if self._content is None:
            self._content = load_content(self._parts, self.config.files)
        return self._content


def told_of(batch: dict[str, Tensor]) -> Told:
    """A batch of such crops as a model is told it."""
    return Told(batch["content"], fill_gaps(batch["f0"]), batch["f0"] > 0, batch["loudness"], batch["singer"])
