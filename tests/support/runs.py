"""Small voice models of random weights as runs, as `autosing train` leaves them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosing.checkpoint import save_model
from autosing.models.acoustic import MelConfig, SpaceSpec, new_space
from autosing.models.singers import KnownSinger, as_extra
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.svc_vits import SvcVits, SvcVitsConfig
from autosing.models.visinger import Visinger, VisingerConfig, flow_config
from autosing.models.vocoder import VocoderConfig, VocoderModel
from support.models import stir

PART: dict[str, Any] = {"name": "whisper-tiny.en", "layer": 2, "width": 16, "digest": "0" * 64}
NARROW: dict[str, Any] = {"width": 16, "hidden": 16, "encoder_blocks": 1, "blocks": 1}
NSF: dict[str, Any] = {"rates": [8, 8, 2, 2], "channels": 64, "kernels": [3], "dilations": [1]}
VITS: dict[str, Any] = {
    "content": [PART], "latent": 8, "sample_rate_hz": 24000, "hop_samples": 256, "nsf": NSF,
    "encoder": {"width": 16, "layers": 1, "hidden": 16, "reach": 8}, "flow": {"couplings": 2, "layers": 1, "width": 8},
    "source_filter": {"width": 16, "hidden": 16, "blocks": 1, "filter_bands": 16},
}  # fmt: skip
VISINGER: dict[str, Any] = {
    "content": 16, "sign_blocks": 1, "frame_blocks": 1, "curves": {"width": 16, "blocks": 1, "small_width": 8},
}  # fmt: skip
MEL = MelConfig(bands=20, window_samples=768)


def make_vits(folder: Path, **values: Any) -> Path:
    torch.manual_seed(0)
    return _saved(folder, "svc_vits", SvcVits(SvcVitsConfig.build({**VITS, **values})))


def make_flow(folder: Path, space: SpaceSpec | None = None, **values: Any) -> Path:
    torch.manual_seed(0)
    config = {"space": (space or new_space("codec_latent")).dump(), "content": [PART], **NARROW, **values}
    return _saved(folder, "svc_flow", SvcFlow(SvcFlowConfig.build(config)))


def make_visinger(folder: Path, space: SpaceSpec | None = None) -> Path:
    torch.manual_seed(0)
    flow = flow_config(space or new_space("codec_latent"), VISINGER["content"], NARROW)
    return _saved(folder, "visinger", Visinger(VisingerConfig.build({**VISINGER, "flow": flow.dump()})))


def make_vocoder(folder: Path, kind: str = "nsf") -> Path:
    torch.manual_seed(0)
    values = {"kind": kind, "mel": MEL.dump(), "nsf": NSF, "width": 16, "hidden": 16, "blocks": 1, "filter_bands": 16}
    return _saved(folder, "vocoder", VocoderModel(VocoderConfig.build(values)))


def two_singers() -> tuple[KnownSinger, ...]:
    draw = np.random.default_rng(0)
    vectors = [vector_E / np.linalg.norm(vector_E) for vector_E in draw.normal(size=(2, 256))]
    return tuple(KnownSinger.of(name, vector_E, 3, 9.0, None) for name, vector_E in zip("ab", vectors, strict=True))


def _saved(folder: Path, kind: str, model: Any) -> Path:
    """Moved a little, so that nothing is without effect by its init."""
    stir(model, 0.05)
    save_model(folder, kind, model.config.dump(), model.state_dict(), as_extra(two_singers()))
    return folder
