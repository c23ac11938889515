"""Logits -> codes: guidance, temperature, top-k, top-p, min-p, with random numbers of each candidate's own.

Shapes: C candidates, G guidance variants of each, V classes, T steps, R rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from autosing.config import Config
from autosing.ids import seed_of
from autosing.models.presets import UsualSampling


class Sampling(Config):
    """How codes are drawn. The same seed gives the same candidate, whatever the number of other candidates."""

    seed: int = Field(default=0, ge=0)
    temperature: float | None = Field(default=None, ge=0)
    """0: always the most likely class (greedy). None: the model's usual one."""
    top_k: int | None = Field(default=None, ge=1)
    """Draw only from the k most likely classes."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Draw from the fewest classes that hold this much probability."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Draw from classes with at least this share of the highest probability (arXiv:2407.01082). 0: all. 1: greedy."""
    guidance_text: float | None = Field(default=None, ge=0)
    """1: no guidance. Above 1: away from the prediction without lyrics (t2s) or without semantic codes (sm2a).
    None: the model's usual one."""
    guidance_music: float = Field(default=1.0, ge=0)
    guidance_singer: float = Field(default=1.0, ge=0)
    stop_at_eos: bool = True

    def filled(self, usual: UsualSampling) -> "Sampling":
        """With the model's usual values where none is asked for."""
        held = {name: getattr(usual, name) for name in UsualSampling.model_fields if getattr(self, name) is None}
        return self.model_copy(update=held)


@dataclass(frozen=True)
class Guidance:
    """logits = full + sum over conditions of (scale - 1) * (full - without that condition).

    Classifier-free guidance (arXiv:2207.12598) with one scale for each condition, as in composable diffusion
    (arXiv:2206.01714). "Without" a condition means the prediction that was trained when the condition was dropped.
    """

    dropped: tuple[str, ...]
    scales: tuple[float, ...]

    @classmethod
    def of(cls, sampling: Sampling, present: Sequence[str]) -> "Guidance":
        """Guidance by the present conditions whose scale is not 1. `sampling`: filled."""
        wanted = {name: getattr(sampling, f"guidance_{name}") for name in present}
        active = {name: scale for name, scale in wanted.items() if scale != 1.0}
        return cls(tuple(active), tuple(active.values()))

    @property
    def variants(self) -> tuple[str | None, ...]:
        """The condition that each of the G variants lacks; None for the first, which has all."""
        return (None, *self.dropped)

    def combine(self, logits: Tensor) -> Tensor:
        """logits_(G*C)V, variants outermost -> logits_CV."""
        if not self.dropped:
            return logits
        full, *without = logits.unflatten(0, (len(self.variants), -1)).unbind(0)
        return full + sum(((s - 1) * (full - other) for s, other in zip(self.scales, without, strict=True)), 0 * full)


def uniforms(sampling: Sampling, part: str, candidates: Sequence[int], steps: int, rows: int = 1) -> Tensor:
    """uniform_TRC in [0, 1). Each candidate has its own generator, seeded by its number."""
    draws = []
    for candidate in candidates:
        generator = torch.Generator().manual_seed(seed_of("generate", sampling.seed, part, candidate))
        draws.append(torch.rand(steps, rows, generator=generator))
    return torch.stack(draws, -1)


def choose(logits_CV: Tensor, uniform_C: Tensor, sampling: Sampling) -> Tensor:
    """-> ids_C, by the inverse of the cumulated probabilities. A class at -inf is never chosen.

    `sampling`: filled.
    """
    assert sampling.temperature is not None, sampling
    if sampling.temperature == 0:
        return logits_CV.argmax(-1)
    probability_CV = (logits_CV.float() / sampling.temperature).softmax(-1)
    if sampling.min_p > 0:
        least_C1 = sampling.min_p * probability_CV.amax(-1, keepdim=True)
        probability_CV = probability_CV.masked_fill(probability_CV < least_C1, 0.0)
    order_CV = None
    if sampling.top_k is not None or sampling.top_p < 1:
        count = min(sampling.top_k or logits_CV.shape[-1], logits_CV.shape[-1])
        probability_CV, order_CV = probability_CV.topk(count, dim=-1)
        if sampling.top_p < 1:
            kept_C1 = probability_CV.sum(-1, keepdim=True)
            before_CV = (probability_CV.cumsum(-1) - probability_CV) / kept_C1
            probability_CV = probability_CV.masked_fill(before_CV >= sampling.top_p, 0.0)
    cumulated_CV = probability_CV.cumsum(-1)
    # Slightly below 1, so that rounding never leads past the last class with a probability above 0.
    point_C1 = uniform_C.clamp(max=1 - 1e-6)[:, None] * cumulated_CV[:, -1:]
    index_C1 = torch.searchsorted(cumulated_CV, point_C1, right=True)
    return (index_C1 if order_CV is None else order_CV.gather(1, index_C1))[:, 0]
