"""Stand-ins for what sings and hears speech. For tests only."""

from typing import Any

import numpy as np
import torch

from autosing.models.acoustic import new_space
from autosing.models.sts import Sts, StsConfig
from autosing.models.svc_flow import SvcFlowConfig
from autosing.schemas.records import Part
from autosing.score.score import Score
from autosing.speech.listener import HeardWords

_RATE_HZ = 16_000


def made_sts(content: tuple[Part, ...]) -> Sts:
    """Random networks of the smallest size, which find all frames voiced."""
    flow = SvcFlowConfig.build({
        "space": new_space("codec_latent").dump(), "content": [part.dump() for part in content], "width": 16,
        "hidden": 16, "encoder_blocks": 1, "blocks": 1,
    })  # fmt: skip
    torch.manual_seed(0)
    model = Sts(StsConfig.build({
        "flow": flow.dump(), "width": 16, "heads": 2, "layers": 1, "speech_blocks": 1, "frame_blocks": 1,
        "rhythm": {"codes": 4, "width": 4, "blocks": 1}, "curves": {"width": 16, "blocks": 1, "small_width": 8},
    }))  # fmt: skip
    with torch.no_grad():
        assert model.curves.out.bias is not None
        model.curves.out.bias[1] = 2.0
    return model


def evenly_spoken(self: Any, score: Score, audio_S: np.ndarray) -> HeardWords:
    """In place of Listener.place: phones of one length each; the word "absent" is not found."""
    edges = np.linspace(0.1, len(audio_S) / _RATE_HZ - 0.1, len(score.phones) + 1).tolist()
    phones = tuple(p.timed(a, b) for p, a, b in zip(score.phones, edges, edges[1:], strict=False))
    found = tuple(0.0 if word.text == "absent" else 0.9 for word in score.words)
    return HeardWords(score.replace(phones=phones, notes=(), breaths=(), duration_s=len(audio_S) / _RATE_HZ), found)
