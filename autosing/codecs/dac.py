"""DAC (Kumar 2023, arXiv:2306.06546) behind our interface, from weights that lie in a folder.

Shapes: B clips, S samples, Q levels, N codes of each.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from autosing.codecs.base import Codec
from autosing.codecs.spec import CodecSpec
from autosing.errors import InputError

_WEIGHTS = "weights.pth"


def weights_file(name: str, folder: Path) -> Path:
    """Raises InputError where it is not at hand."""
    if not (folder / _WEIGHTS).is_file():
        raise InputError(
            f"codec {name}: no {_WEIGHTS} in {folder}; put the file of descript-audio-codec's release there under "
            "that name, or name the codec autosing-24khz"
        )
    return folder / _WEIGHTS


class DacCodec(Codec):
    """DAC's network; all levels have one rate."""

    def __init__(self, model: Any, name: str) -> None:
        super().__init__()
        self.model = model.eval()
        self.spec = CodecSpec(
            name=name,
            sample_rate_hz=int(model.sample_rate),
            hop_samples=int(model.hop_length),
            strides=(1,) * int(model.n_codebooks),
            codebook_sizes=(int(model.codebook_size),) * int(model.n_codebooks),
        )

    @classmethod
    def load(cls, name: str, folder: Path) -> "DacCodec":
        weights = weights_file(name, folder)
        try:
            from dac import DAC
        except ImportError:
            raise InputError(
                f"codec {name}: the package descript-audio-codec is missing; install it beside autosing"
            ) from None
        held = torch.load(weights, map_location="cpu", weights_only=True)
        model = DAC(**held["metadata"]["kwargs"])
        model.load_state_dict(held["state_dict"])
        return cls(model, name)

    @torch.no_grad()
    def encode(self, audio_BS: Tensor) -> list[Tensor]:
        blocks = self.spec.num_blocks(audio_BS.shape[1])
        if blocks == 0:
            return [torch.zeros(len(audio_BS), 0, dtype=torch.long, device=audio_BS.device) for _ in self.spec.strides]
        padded_BS = pad(audio_BS, (0, blocks * self.spec.block_samples - audio_BS.shape[1]))
        _, codes_BQN, *_ = self.model.encode(padded_BS[:, None])
        return list(codes_BQN.unbind(1))

    @torch.no_grad()
    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        frames = codes[-1].shape[1]
        if frames == 0:
            return torch.zeros(len(codes[-1]), 0, device=codes[-1].device)
        latent_BDN = self.model.quantizer.from_codes(torch.stack(list(codes), dim=1))[0]
        audio_BS: Tensor = self.model.decode(latent_BDN)[:, 0]
        wanted = frames * self.spec.hop_samples
        # Its transposed convolutions may end some samples early.
        return pad(audio_BS, (0, max(0, wanted - audio_BS.shape[1])))[:, :wanted]

    def code_vectors(self, level: int) -> Tensor:
        vectors_VD: Tensor = self.model.quantizer.quantizers[level].codebook.weight.detach()
        return vectors_VD
