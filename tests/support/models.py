"""Untrained t2s and sm2a of the debug size, all weights off their zeros: laws are tested on these."""

from typing import Any

import torch

from autosing.codecs.spec import CodecSpec
from autosing.models.presets import SHAPES
from autosing.models.sm2a import SM2A, SM2AConfig
from autosing.models.t2s import T2S, T2SConfig
from support.clips import SEMANTIC_SIZE, SPEC

SHARED = SHAPES["debug"].model_copy(update={"key_heads": 1})
"""Both heads share keys and values, as groups of heads do in the larger sizes."""


def made_t2s(spec: CodecSpec = SPEC, **config: Any) -> T2S:
    """In eval mode; `config` overrides fields of T2SConfig."""
    settings = T2SConfig(shape=SHARED, semantic_size=SEMANTIC_SIZE, semantic_width=16, codec=spec)
    torch.manual_seed(0)
    model = T2S(settings.model_copy(update=config), torch.randn(SEMANTIC_SIZE, 16))
    stir(model)
    return model.eval()


def made_sm2a(spec: CodecSpec = SPEC, **config: Any) -> SM2A:
    """In eval mode; `config` overrides fields of SM2AConfig."""
    settings = SM2AConfig(shape=SHARED, semantic_size=SEMANTIC_SIZE, semantic_width=16, codec=spec)
    torch.manual_seed(0)
    model = SM2A(settings.model_copy(update=config), torch.randn(SEMANTIC_SIZE, 16))
    stir(model)
    return model.eval()


def stir(model: torch.nn.Module, amount: float = 0.1) -> None:
    """Move every weight a little, so that nothing is equal, or without effect, by accident of its init."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(amount * torch.randn(parameter.shape, generator=generator))
