"""EnCodec at 24 kHz (Défossez 2022, arXiv:2210.13438) behind our interface, from weights that lie in a folder.

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

_WEIGHTS = "encodec_24khz-d7cc33bc.th"
_BANDWIDTH_KBPS = 6.0
"""Eight levels of 1024 codes at 75 Hz."""


def weights_file(name: str, folder: Path) -> Path:
    """Raises InputError if it is missing."""
    if not (folder / _WEIGHTS).is_file():
        raise InputError(
            f"codec {name}: no {_WEIGHTS} in {folder}; put the file of the encodec package's release there, "
            "or name the codec autosing-24khz"
        )
    return folder / _WEIGHTS


class EncodecCodec(Codec):
    """EnCodec's causal 24 kHz network; all levels have one rate."""

    def __init__(self, model: Any, name: str = "encodec-24khz") -> None:
        super().__init__()
        self.model = model.eval()
        model.set_target_bandwidth(_BANDWIDTH_KBPS)
        levels = int(model.quantizer.get_num_quantizers_for_bandwidth(model.frame_rate, _BANDWIDTH_KBPS))
        self.spec = CodecSpec(
            name=name,
            sample_rate_hz=int(model.sample_rate),
            hop_samples=int(model.encoder.hop_length),
            strides=(1,) * levels,
            codebook_sizes=(int(model.quantizer.bins),) * levels,
        )

    @classmethod
    def load(cls, name: str, folder: Path) -> "EncodecCodec":
        weights = weights_file(name, folder)
        try:
            from encodec import EncodecModel
        except ImportError:
            raise InputError(f"codec {name}: the package encodec is missing; install autosing[codecs]") from None
        model = EncodecModel.encodec_model_24khz(pretrained=False)
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return cls(model, name)

    @torch.no_grad()
    def encode(self, audio_BS: Tensor, f0_hz_BT: Tensor | None = None) -> list[Tensor]:
        blocks = self.spec.num_blocks(audio_BS.shape[1])
        if blocks == 0:
            return [torch.zeros(len(audio_BS), 0, dtype=torch.long, device=audio_BS.device) for _ in self.spec.strides]
        padded_BS = pad(audio_BS, (0, blocks * self.spec.block_samples - audio_BS.shape[1]))
        ((codes_BQN, _),) = self.model.encode(padded_BS[:, None])
        return list(codes_BQN.unbind(1))

    @torch.no_grad()
    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        frames = codes[-1].shape[1]
        if frames == 0:
            return torch.zeros(len(codes[-1]), 0, device=codes[-1].device)
        audio_B1S: Tensor = self.model.decode([(torch.stack(list(codes), dim=1), None)])
        return audio_B1S[:, 0, : frames * self.spec.hop_samples]

    def code_vectors(self, level: int) -> Tensor:
        vectors_VD: Tensor = self.model.quantizer.vq.layers[level].codebook.detach()
        return vectors_VD
