"""SNAC (Siuzdak 2024, arXiv:2410.14411) behind our interface, from weights that lie in a folder; no hub is asked.

Shapes: B clips, S samples, N_i codes of level i.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from autosing.codecs.base import Codec
from autosing.codecs.spec import CodecSpec
from autosing.errors import InputError

_WEIGHTS = "pytorch_model.bin"


def weights_file(name: str, folder: Path) -> Path:
    """Raises InputError if it is missing."""
    for file in ("config.json", _WEIGHTS):
        if not (folder / file).is_file():
            what = f"config.json and {_WEIGHTS} of hubertsiuzdak/{name.replace('-', '_')}"
            raise InputError(f"codec {name}: no {file} in {folder}; put {what} there, or name the codec autosing-24khz")
    return folder / _WEIGHTS


class SnacCodec(Codec):
    """SNAC's network. With windowed attention its blocks are longer than those of the spec: the difference is padded
    when encoding and cut when decoding."""

    def __init__(self, model: Any, name: str) -> None:
        super().__init__()
        self.model = model.eval()
        strides = tuple(int(stride) for stride in model.vq_strides)
        self.spec = CodecSpec(
            name=name,
            sample_rate_hz=int(model.sampling_rate),
            hop_samples=int(model.hop_length),
            strides=strides,
            codebook_sizes=(int(model.codebook_size),) * len(strides),
        )
        self._window_blocks = math.lcm(strides[0], model.attn_window_size or 1) // strides[0]

    @classmethod
    def load(cls, name: str, folder: Path) -> "SnacCodec":
        weights = weights_file(name, folder)
        try:
            from snac import SNAC
        except ImportError:
            raise InputError(f"codec {name}: the package snac is missing; install autosing[codecs]") from None
        model = SNAC(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return cls(model, name)

    @torch.no_grad()
    def encode(self, audio_BS: Tensor, f0_hz_BT: Tensor | None = None) -> list[Tensor]:
        blocks = self.spec.num_blocks(audio_BS.shape[1])
        padded_BS = pad(audio_BS, (0, blocks * self.spec.block_samples - audio_BS.shape[1]))
        if blocks == 0:
            return [torch.zeros(len(audio_BS), 0, dtype=torch.long, device=audio_BS.device) for _ in self.spec.strides]
        found: list[Tensor] = self.model.encode(padded_BS[:, None])
        per_block = [self.spec.block_frames // stride for stride in self.spec.strides]
        return [codes_BN[:, : blocks * n] for codes_BN, n in zip(found, per_block, strict=True)]

    @torch.no_grad()
    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        frames = codes[-1].shape[1]
        if frames == 0:
            return torch.zeros(len(codes[-1]), 0, device=codes[-1].device)
        blocks = frames // self.spec.block_frames
        missing = -blocks % self._window_blocks
        longer = [torch.cat([c, c[:, -1:].expand(-1, missing * (c.shape[1] // blocks))], dim=1) for c in codes]
        # Its decoder adds random noise, but equal codes must give equal samples.
        with torch.random.fork_rng(devices=[codes[0].device] if codes[0].is_cuda else []):
            torch.manual_seed(0)
            audio_B1S: Tensor = self.model.decode(longer)
        return audio_B1S[:, 0, : frames * self.spec.hop_samples]

    def code_vectors(self, level: int) -> Tensor:
        vectors_VD: Tensor = self.model.quantizer.quantizers[level].codebook.weight.detach()
        return vectors_VD
