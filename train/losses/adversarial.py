"""Judgements of true and generated audio -> the losses of discriminators and generator, and feature matching.

Judgements come as a list, one of each discriminator (`autosing.nn.discriminators`); all have equal weight.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from autosing.nn.discriminators import Discriminators, Judgement

GanLoss = Literal["least_squares", "hinge"]


def discriminator_loss(true: Sequence[Judgement], made: Sequence[Judgement], kind: GanLoss = "least_squares") -> Tensor:
    """Least squares: targets are 1 for true, 0 for generated (Mao et al. 2017, arXiv:1611.04076). Hinge: above 1 for
    true, below -1 for generated (Lim & Ye 2017, arXiv:1705.02894). The minimum of both is 0."""
    losses = []
    for real, fake in zip(true, made, strict=True):
        if kind == "least_squares":
            losses.append((real.logits - 1).square().mean() + fake.logits.square().mean())
        else:
            losses.append((1 - real.logits).relu().mean() + (1 + fake.logits).relu().mean())
    return torch.stack(losses).mean()


def generator_loss(made: Sequence[Judgement], kind: GanLoss = "least_squares") -> Tensor:
    """Least squares: 0 if everything is judged true. Hinge: minus the mean logit, which has no lower bound."""
    if kind == "least_squares":
        return torch.stack([(fake.logits - 1).square().mean() for fake in made]).mean()
    return torch.stack([-fake.logits.mean() for fake in made]).mean()


def feature_matching_loss(true: Sequence[Judgement], made: Sequence[Judgement]) -> Tensor:
    """Mean absolute difference of the layers' outputs, without the logits, over layers and discriminators (MelGAN,
    Kumar et al. 2019, arXiv:1910.06711). The true side gets no gradient, so it need be judged only once per step."""
    distances = [
        (seen_true.detach() - seen_made).abs().mean()
        for real, fake in zip(true, made, strict=True)
        for seen_true, seen_made in zip(real.features[:-1], fake.features[:-1], strict=True)
    ]
    return torch.stack(distances).mean()


def judged(
    discriminators: Discriminators, made_BS: Tensor, true_BS: Tensor, kind: GanLoss = "least_squares"
) -> tuple[Tensor, Tensor]:
    """(adversarial, matching): what the generator of `made` is told by discriminators as they are now. The true side is
    judged once, without gradient."""
    with torch.no_grad():
        true = discriminators(true_BS)
    made = discriminators(made_BS)
    return generator_loss(made, kind), feature_matching_loss(true, made)
