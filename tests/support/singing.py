"""Tiny t2s and sm2a runs of random weights that belong together, and a song to sing over: what they sing is noise."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosing.audio.io import Audio, save
from autosing.checkpoint import save_model
from autosing.codecs import CodecSpec, codec_digest
from autosing.models.codec import CodecConfig, CodecModel
from autosing.models.presets import SHAPES
from autosing.models.sm2a import SM2A, SM2AConfig
from autosing.models.t2s import T2S, T2SConfig

CODES, WIDTH = 32, 64
SONG_RATE_HZ = 44_100


def make_runs(folder: Path) -> Path:
    """codec/, t2s/ and sm2a/ in `folder`, which is returned."""
    torch.manual_seed(0)
    config = CodecConfig(
        encoder_width=16, encoder_hidden=16, encoder_blocks=1, decoder_width=16, decoder_hidden=16, decoder_blocks=1,
        strides=(4, 2, 2, 1), codebook_sizes=(64, 512, 64, 64), f0_level=1, latent=16,
    )  # fmt: skip
    save_model(folder / "codec", "codec", config.dump(), CodecModel(config).state_dict())
    return make_pair(folder, str(folder / "codec"), config.spec)


def make_pair(folder: Path, codec: str, spec: CodecSpec) -> Path:
    """t2s/ and sm2a/ in `folder`, which is returned, that speak a codec's codes."""
    extra = {
        "codec": {"spec": spec.dump(), "digest": codec_digest(codec)},
        "semantic": {"digest": "1" * 64, "size": CODES},
    }
    book_KW = torch.randn(CODES, WIDTH)
    common: dict[str, Any] = {"shape": SHAPES["debug"], "semantic_size": CODES, "semantic_width": WIDTH, "codec": spec}
    t2s = T2SConfig(**common, use_singer=True)
    sm2a = SM2AConfig(**common)
    for kind, model in (("t2s", T2S(t2s, book_KW)), ("sm2a", SM2A(sm2a, book_KW))):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        save_model(folder / kind, kind, model.config.dump(), model.state_dict(), extra)
    return folder


def make_song(path: Path, duration_s: float = 4.0) -> Path:
    """A stereo chord with noise, written to `path`, which is returned."""
    t_S = np.arange(round(duration_s * SONG_RATE_HZ)) / SONG_RATE_HZ
    chord_S = sum(np.sin(2 * np.pi * hz * t_S) for hz in (220, 277.2, 329.6)) / 6
    noise_CS = np.random.default_rng(0).normal(0, 0.02, (2, len(t_S)))
    save(Audio((chord_S + noise_CS).astype(np.float32), SONG_RATE_HZ), path)
    return path


def voice_by_level(vocals: Audio, *_: str) -> np.ndarray:
    """A voice for each loudness: the real singer embedding needs its pretrained weights."""
    voice = np.random.default_rng(round(1e4 * float(np.abs(vocals.samples_CS).mean()))).standard_normal(256)
    return (voice / np.linalg.norm(voice)).astype(np.float32)
