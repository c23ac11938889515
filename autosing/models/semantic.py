"""Singing -> content codes, 25 a second: a Whisper encoder's layer, pooled, projected, and its nearest code.

A code should tell which sound is sung, but not by whom (like WhisperSpeech and AutoSing's BN-Whisper; here the encoder
is frozen, and only projection and codebook are trained: see train/tasks/semantic.py).

Shapes: B clips, S samples at 16 kHz, C mel bands, M mel frames (100 a second), T encoder frames (50 a second), N codes
(25 a second), E encoder width, D code width, K codes in the book.
"""

import functools
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile, load_model
from autosing.clock import in_model
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.bundled import SEMANTIC, semantic_digest
from autosing.timebase import SEMANTIC_RATE_HZ, num_frames_to_cover

SAMPLE_RATE_HZ = 16_000
CODE_SAMPLES = int(SAMPLE_RATE_HZ / SEMANTIC_RATE_HZ)
_MAX_CODES = 750
"""Whisper's input has at most 30 s."""
_MARGIN_CODES = 50
"""Longer clips are encoded in windows, of which the 2 s at an inner edge are not used."""


class SemanticConfig(Config):
    """The encoder and the sizes of a codebook."""

    encoder: str = "whisper-base"
    """A name in autosing.pretrained."""
    layer: int = Field(default=5, ge=1)
    """The encoder block whose output is coded, counted from 1."""
    width: int = Field(default=512, gt=0)
    """E, the encoder's."""
    dim: int = Field(default=64, gt=0)
    """D."""
    codes: int = Field(default=1024, gt=0)
    """K."""


class WhisperFeatures:
    """audio -> features of one encoder block. It gets the samples of its clip only, without padding to 30 s."""

    def __init__(self, encoder: str, layer: int, device: torch.device | str = "cpu") -> None:
        from autosing.models.whisper import load_encoder

        self._encoder, self._device = load_encoder(encoder, str(device)), device
        blocks = len(self._encoder.blocks)
        if layer > blocks:
            raise InputError(f"semantic layer {layer}: {encoder} has {blocks} blocks; need 1 to {blocks}")
        self._layer = layer

    @torch.no_grad()
    def __call__(self, audio_BS: Tensor) -> Tensor:
        """audio_BS, mono at 16 kHz, a whole number of codes long and 30 s at most -> features_BNE."""
        return self.layers(audio_BS)[-1]

    @torch.no_grad()
    def layers(self, audio_BS: Tensor) -> list[Tensor]:
        """features_BNE after each block up to the chosen one (the last block's through the encoder's final norm)."""
        from autosing.models.whisper import layer_states

        assert audio_BS.shape[1] % CODE_SAMPLES == 0, audio_BS.shape
        states = layer_states(self._encoder, audio_BS.to(self._device), self._layer)
        return [x_BTE.unflatten(1, (-1, 2)).mean(dim=2) for x_BTE in states]


class SemanticCodebook(nn.Module):
    """features_NE -> codes_N: standardise, project, nearest code by distance."""

    mean_E: Tensor
    scale_E: Tensor
    codes_KD: Tensor

    def __init__(self, config: SemanticConfig) -> None:
        super().__init__()
        self.register_buffer("mean_E", torch.zeros(config.width))
        self.register_buffer("scale_E", torch.ones(config.width))
        self.project = nn.Linear(config.width, config.dim, bias=False)
        self.register_buffer("codes_KD", torch.zeros(config.codes, config.dim))

    def points(self, features_NE: Tensor) -> Tensor:
        """features_NE -> points_ND, the space in which codes are compared."""
        return self.project((features_NE - self.mean_E) * self.scale_E)

    def forward(self, features_NE: Tensor) -> Tensor:
        """features_NE -> codes_N (int64)."""
        return nearest(self.points(features_NE), self.codes_KD)


def nearest(points_ND: Tensor, codes_KD: Tensor) -> Tensor:
    """The index of the nearest code, for each point."""
    return (codes_KD.square().sum(dim=1) - 2 * points_ND @ codes_KD.T).argmin(dim=1)


class SemanticTokenizer:
    """audio -> codes. `codebook_KD`: the vectors by which t2s and sm2a embed codes; `size` is K."""

    def __init__(self, file: ModelFile, digest: str, device: str = "cpu") -> None:
        self.config = SemanticConfig.build(file.config, origin="semantic model")
        self.digest, self.size = digest, self.config.codes
        self._book = SemanticCodebook(self.config).eval()
        self._book.load_state_dict({name: tensor.float() for name, tensor in file.state.items()})
        self._book.to(device)
        self._device = device

    @functools.cached_property
    def _hear(self) -> WhisperFeatures:
        """Loaded with the first clip, because callers that need only the codebook need no Whisper."""
        return WhisperFeatures(self.config.encoder, self.config.layer, self._device)

    @property
    def codebook_KD(self) -> np.ndarray:
        return self._book.codes_KD.cpu().numpy()

    def load(self) -> None:
        """Load the encoder now, not with the first clip."""
        assert self._hear

    @torch.inference_mode()
    def tokenize(self, audio: Audio) -> np.ndarray:
        """codes_N int32, N = ceil(duration * 25): the last code is filled with silence. Any rate, any length."""
        total = num_frames_to_cover(audio.duration_s, SEMANTIC_RATE_HZ)
        mono = Audio(audio.mono_S()[None], audio.sample_rate_hz).resampled(SAMPLE_RATE_HZ).samples_CS[0]
        mono = np.pad(mono, (0, max(0, total * CODE_SAMPLES - len(mono))))[: total * CODE_SAMPLES]
        parts = []
        for start, first, last in _windows(total):
            heard_S = torch.from_numpy(mono[start * CODE_SAMPLES : min(start + _MAX_CODES, total) * CODE_SAMPLES])
            with in_model():
                parts.append(self._book(self._hear(heard_S[None])[0])[first - start : last - start].cpu())
        return torch.cat(parts).numpy().astype(np.int32)


def _windows(total: int) -> list[tuple[int, int, int]]:
    """(start of the window, first code kept, code after the last kept), so that each of `total` codes is kept once."""
    if total <= _MAX_CODES:
        return [(0, 0, total)]
    windows, first = [], 0
    while first < total:
        start = max(0, min(first - _MARGIN_CODES, total - _MAX_CODES))
        last = total if start + _MAX_CODES >= total else start + _MAX_CODES - _MARGIN_CODES
        windows.append((start, first, last))
        first = last
    return windows


@functools.cache
def load_semantic(name: str = SEMANTIC, device: str = "cpu") -> SemanticTokenizer:
    """The bundled codebook or that of a run's folder; loaded once per process. Raises InputError if there is none."""
    digest = semantic_digest(name)
    return SemanticTokenizer(load_model(Path(name), "semantic"), digest, device)
