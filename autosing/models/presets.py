"""What configs of t2s and sm2a share: how codes are drawn, and sizes by name.

Sizes are AutoSing's widths and depths, and smaller ones for experiments and demos. In AutoSing each head of a decoder
has its own keys and values; here groups of three to six heads share them.
"""

from typing import Literal

from pydantic import Field

from autosing.config import Config
from autosing.errors import InputError


class Shape(Config):
    """Widths and depths. Head width is 64, except in `debug`."""

    width: int = Field(gt=0)
    heads: int = Field(gt=0)
    key_heads: int = Field(gt=0)
    """Number of heads of a decoder's keys and values; each serves heads / key_heads heads of queries."""
    text_layers: int = Field(gt=0)
    """Layers of the text encoder (t2s) or the semantic encoder (sm2a)."""
    music_layers: int = Field(gt=0)
    decoder_layers: int = Field(gt=0)
    mlp_factor: int = Field(default=4, gt=0)

    def model_post_init(self, _: object) -> None:
        if self.width % (2 * self.heads):
            raise InputError(f"width {self.width} with {self.heads} heads: the head width must be whole and even")
        if self.heads % self.key_heads:
            raise InputError(f"heads {self.heads} with key_heads {self.key_heads}: need a whole number of heads each")


class UsualSampling(Config):
    """How codes of a model are drawn where nothing else is asked for (autosing.generation.sampling)."""

    temperature: float = Field(default=0.7, ge=0)
    guidance_text: float = Field(default=1.0, ge=0)


class UsualTakes(UsualSampling):
    """Of a model of lyrics, too: how many takes are sung, of which the clearest is kept."""

    candidates: int = Field(default=1, ge=1, le=64)


SHAPES: dict[str, Shape] = {
    "debug": Shape(width=64, heads=2, key_heads=2, text_layers=1, music_layers=1, decoder_layers=2),
    "demo": Shape(width=128, heads=2, key_heads=2, text_layers=1, music_layers=1, decoder_layers=3),
    "micro": Shape(width=192, heads=3, key_heads=1, text_layers=1, music_layers=1, decoder_layers=3, mlp_factor=1),
    "tiny": Shape(width=384, heads=6, key_heads=1, text_layers=2, music_layers=2, decoder_layers=6),
    "base": Shape(width=512, heads=8, key_heads=2, text_layers=3, music_layers=3, decoder_layers=9),
    "small": Shape(width=768, heads=12, key_heads=4, text_layers=6, music_layers=6, decoder_layers=18),
    "baseline": Shape(width=1024, heads=16, key_heads=4, text_layers=10, music_layers=10, decoder_layers=30),
    "medium": Shape(width=1024, heads=16, key_heads=4, text_layers=12, music_layers=12, decoder_layers=36),
    "large": Shape(width=1280, heads=20, key_heads=4, text_layers=16, music_layers=16, decoder_layers=50),
}

Size = Literal["debug", "demo", "micro", "tiny", "base", "small", "baseline", "medium", "large"]
