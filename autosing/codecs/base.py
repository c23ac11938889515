"""The interface of a codec: mono audio <-> codes at several rates.

Shapes: B clips, S samples, T frames at 100 Hz, N_i codes of level i (see autosing.codecs.spec), V codes in a book,
D dimensions.
"""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from autosing.codecs.spec import CodecSpec


class Codec(nn.Module):
    """audio_BS <-> [codes_BN_i]. `encode` pads the end with silence to whole blocks; `decode` gives whole blocks."""

    spec: CodecSpec

    @abstractmethod
    def encode(self, audio_BS: Tensor, f0_hz_BT: Tensor | None = None) -> list[Tensor]:
        """audio_BS at `spec.sample_rate_hz` -> codes_BN_i (int64) for each level.

        f0_hz_BT: its pitch at 100 frames a second, 0 where unvoiced, for codecs whose codes include pitch. Without it
        they track the pitch themselves.
        """

    @abstractmethod
    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        """[codes_BN_i] -> audio_BS with S = frames * hop."""

    @abstractmethod
    def code_vectors(self, level: int) -> Tensor:
        """vectors_VD: the vector of each code of a level, for models that embed codes."""

    def pitch_codes(self) -> tuple[int, Tensor] | None:
        """(a level, hz_V of its codes, 0 where unvoiced), if a level of the codec codes pitch and nothing else."""
        return None

    @torch.inference_mode()
    def encode_flat(self, audio_S: np.ndarray, f0_hz_T: np.ndarray | None = None) -> np.ndarray:
        """One clip's samples, and its pitch if it is known (see `encode`) -> its flat codes."""
        device = next(self.parameters()).device
        audio_BS = torch.as_tensor(audio_S, dtype=torch.float32, device=device)[None]
        f0_hz_BT = None if f0_hz_T is None else torch.tensor(f0_hz_T, dtype=torch.float32, device=device)[None]
        levels = self.encode(audio_BS, f0_hz_BT)
        return self.spec.flatten([level[0].cpu().numpy() for level in levels])

    @torch.inference_mode()
    def decode_flat(self, flat: np.ndarray) -> np.ndarray:
        """Flat codes -> samples."""
        device = next(self.parameters()).device
        levels = [torch.as_tensor(level, dtype=torch.long, device=device)[None] for level in self.spec.unflatten(flat)]
        return self.decode(levels)[0].cpu().numpy()
