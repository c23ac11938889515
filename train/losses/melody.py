"""What a model draws on a score -> how far it is from what was sung: f0 beside the notes, voicing, loudness, vibrato.

Shapes: B crops, F frames, M notes.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from autosing.models.melody import Vibrato, loudness_unit

MelodyCounts = Mapping[str, Tensor]


def melody_counts(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the means are over: see Task.counts."""
    return {"pitched": batch["pitched_BF"].sum(), "long_notes": batch["vibrato_B4M"][:, 3].sum()}


def melody_losses(
    batch: Mapping[str, Tensor], curves: tuple[Tensor, Tensor, Tensor], vibrato: Vibrato, counts: MelodyCounts
) -> dict[str, Tensor]:
    """pitch (L1, semitones), voicing (cross-entropy), loudness (L1, units of 15 dB), vibrato as measured in each long
    note. `counts`: of `melody_counts`, at least 1."""
    away_BF, voiced_BF, loudness_BF = curves
    pitched_BF = batch["pitched_BF"].float()
    cents_BM, rate_BM, phase_BM, long_BM = batch["vibrato_B4M"].unbind(1)
    swings_BM = long_BM * (cents_BM > 0)
    direction_B2M = torch.stack([phase_BM.cos(), phase_BM.sin()], dim=1)
    error_BM = (
        (vibrato.cents_BM - cents_BM).abs() / 20 * long_BM + (vibrato.rate_hz_BM - rate_BM).abs() * swings_BM
        + (vibrato.phase_B2M - direction_B2M).square().sum(1) * swings_BM
    )  # fmt: skip
    return {
        "pitch": ((away_BF - batch["away_BF"]).abs() * pitched_BF).sum() / counts["pitched"],
        "voicing": F.binary_cross_entropy_with_logits(voiced_BF, (batch["f0_BF"] > 0).float()),
        "loudness": (loudness_BF - loudness_unit(batch["loudness_BF"])).abs().mean(),
        "vibrato": error_BM.sum() / counts["long_notes"],
    }
