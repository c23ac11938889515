"""Our own codec behind the interface: the network of autosing.models.codec and the tracker of its f0.

Shapes: B clips, S samples, F frames, T values at 100 Hz, N_i codes of level i.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from autosing.audio.pitch import Fcpe, PitchTracker, pitch_at
from autosing.checkpoint import ModelFile, load_model
from autosing.codecs.base import Codec
from autosing.codecs.spec import CodecSpec
from autosing.errors import InputError
from autosing.models.codec import CodecConfig, CodecModel
from autosing.timebase import PITCH_RATE_HZ


class FittedCodec(Codec):
    """A codec that `autosing train codec` made."""

    def __init__(self, model: CodecModel, latent: Mapping[str, Sequence[float]] | None = None) -> None:
        super().__init__()
        self.model = model.eval()
        self.spec = model.config.spec
        self.latent = latent
        """The `mean` and standard `deviation` of each dimension of the latent; None for older runs."""

    @classmethod
    def load(cls, folder: Path) -> "FittedCodec":
        """A run's folder, or the bundled one. Raises InputError if it holds no codec."""
        return cls.of(load_model(folder, kind="codec"), str(folder))

    @classmethod
    def of(cls, file: ModelFile, name: str = "codec") -> "FittedCodec":
        model = CodecModel(CodecConfig.build(file.config, origin=name))
        state = {key: value.float() if value.is_floating_point() else value for key, value in file.state.items()}
        missing, unknown = model.load_state_dict(state, strict=False)
        lost = [key for key in missing if not key.endswith(("counts_V", "sums_VD"))]
        if lost or unknown:
            raise InputError(f"codec {name}: weights lack {lost} and have unknown {unknown}; train it again")
        return cls(model, file.extra.get("latent"))

    def coarse(self, levels: int, name: str) -> "FittedCodec":
        """The same networks with only their coarsest levels, including that of pitch, under another name."""
        spec = self.model.config.spec
        held = len(spec.strides)
        if not self.model.config.f0_level < levels <= held or spec.strides[levels - 1] != 1:
            raise InputError(
                f"codec {name}: {levels} levels asked of {held} with strides {spec.strides} and pitch at "
                f"{self.model.config.f0_level}; the last that is used must have stride 1"
            )
        kept = {"name": name, "strides": spec.strides[:levels], "codebook_sizes": spec.codebook_sizes[:levels]}
        codec = FittedCodec(self.model, self.latent)
        codec.spec = CodecSpec(**{**spec.dump(), **kept})
        return codec

    @torch.no_grad()
    def encode(self, audio_BS: Tensor, f0_hz_BT: Tensor | None = None) -> list[Tensor]:
        spec = self.spec
        audio_BS = self._whole_blocks(audio_BS)
        if audio_BS.shape[1] == 0:
            return [torch.zeros(len(audio_BS), 0, dtype=torch.long, device=audio_BS.device) for _ in spec.strides]
        if f0_hz_BT is None:
            f0_hz_BT = track_f0(audio_BS, spec.sample_rate_hz)
        f0_hz_BF = self._frames(f0_hz_BT, audio_BS.shape[1] // spec.hop_samples)
        return self.model.encode(audio_BS, f0_hz_BF, spec.num_levels)

    @torch.no_grad()
    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        if codes[-1].shape[1] == 0:
            return torch.zeros(len(codes[-1]), 0, device=codes[-1].device)
        return self.model.decode(codes)

    @torch.no_grad()
    def resynthesise(self, audio_S: np.ndarray) -> np.ndarray:
        """audio_S -> audio_S through the latent without quantisation: the loss of the networks alone."""
        spec, audio_BS = self.spec, self._whole_blocks(torch.from_numpy(audio_S)[None])
        f0_hz_BF = self._frames(track_f0(audio_BS, spec.sample_rate_hz), audio_BS.shape[1] // spec.hop_samples)
        f0_code_BN = self.model.f0_codes(f0_hz_BF)
        made_BS = self.model.decode_latent(self.model.latent(audio_BS, f0_code_BN), f0_code_BN)
        return made_BS[0, : len(audio_S)].numpy()

    def code_vectors(self, level: int) -> Tensor:
        return self.model.code_vectors(level)

    def pitch_codes(self) -> tuple[int, Tensor]:
        level = self.model.config.f0_level
        codes_V = torch.arange(self.spec.codebook_sizes[level], device=next(self.parameters()).device)
        return level, self.model.f0_hz(codes_V)

    def _whole_blocks(self, audio_BS: Tensor) -> Tensor:
        wanted = self.spec.num_blocks(audio_BS.shape[1]) * self.spec.block_samples
        return pad(audio_BS, (0, wanted - audio_BS.shape[1]))

    def _frames(self, f0_hz_BT: Tensor, num_frames: int) -> Tensor:
        """f0_hz_BF at the middles of the codec's frames."""
        middle_s_F = (np.arange(num_frames) + 0.5) / float(self.spec.frame_rate_hz)
        f0_hz_BF = np.stack([pitch_at(f0_hz_T, float(PITCH_RATE_HZ), middle_s_F) for f0_hz_T in f0_hz_BT.cpu().numpy()])
        return torch.from_numpy(f0_hz_BF).to(f0_hz_BT.device)


def track_f0(audio_BS: Tensor, sample_rate_hz: int) -> Tensor:
    """f0_hz_BT every 10 ms, 0 where there is none."""
    tracker = _tracker(str(audio_BS.device))
    tracks = [torch.from_numpy(tracker(audio_S.cpu().numpy(), sample_rate_hz)) for audio_S in audio_BS]
    return torch.stack(tracks).to(audio_BS.device)


class _Lenient(Fcpe):
    """FCPE that also gives the pitch of hardly voiced frames: the other codes represent how voiced they sound."""

    threshold = 0.006


@lru_cache(maxsize=2)
def _tracker(device: str) -> PitchTracker:
    return _Lenient(device)
