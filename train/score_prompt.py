"""A batch of crops with their scores, and the content that a model makes of them -> what its flow is told, and what is
listened to.

Shapes: B crops, S samples, F frames, C numbers of content, G = 1.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from autosing.audio.io import Audio
from autosing.models.acoustic import AcousticSpace
from autosing.models.sung_score import ScoreTold
from autosing.models.svc_flow import SvcFlow
from autosing.models.told import Sampling, Told
from autosing.models.visinger import Melody
from autosing.nn.excitation import fill_gaps
from train.task import one_after_another


class DrawsMelody(Protocol):
    """visinger, sts."""

    flow: SvcFlow

    def melody(self, content_BCF: Tensor, told: ScoreTold, singer_BE: Tensor, vibrato: float = 1.0) -> Melody: ...


def own_told(batch: Mapping[str, Tensor], content_BCF: Tensor) -> Told:
    """The content, and pitch, loudness and singer of the crops themselves (train.score_crops)."""
    loudness_BF = batch["loudness_BF"] + batch["gain_db_BG"]
    return Told(content_BCF, fill_gaps(batch["f0_BF"]), batch["f0_BF"] > 0, loudness_BF, batch["singer_BE"])


def sung_prompt(
    model: DrawsMelody, space: AcousticSpace, batch: Mapping[str, Tensor], told: ScoreTold, content_BCF: Tensor
) -> dict[str, Audio]:
    """The crops as they are, sung on their own pitch, and sung on the curves that the model draws of the score."""
    singer_BE = batch["singer_BE"]
    melody = model.melody(content_BCF, told, singer_BE)
    f0_hz_BF = torch.where(melody.voiced_BF, melody.f0_hz_BF, 0.0)
    drawn = Told(content_BCF, melody.f0_hz_BF, melody.voiced_BF, melody.loudness_db_BF, singer_BE)
    sounds = {
        "original": batch["audio_BS"],
        "on_its_pitch": space.sound(model.flow.sing(own_told(batch, content_BCF), Sampling()), batch["f0_BF"]),
        "from_the_score": space.sound(model.flow.sing(drawn, Sampling()), f0_hz_BF),
    }
    return one_after_another(sounds, space.spec.sample_rate_hz)
