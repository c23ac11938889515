"""Embedded conditions -> memories (encoders); tokens so far -> the next token's state, attending to both (decoder).

Shapes: B clips, T places, S places of a memory, H heads, W head width, D width.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosing.nn.attention import CrossKeys, CrossPair, LayerCache, SelfAttention, visible_bias
from autosing.nn.mup import Linear, Tunables, vector
from autosing.nn.positions import rotation, side_by_side, unrotated_where


class Mlp(nn.Module):
    """x_BTD -> x_BTD, GELU between."""

    def __init__(self, width: int, factor: int, tunables: Tunables) -> None:
        super().__init__()
        self.up = Linear(width, factor * width, tunables)
        self.down = Linear(factor * width, width, tunables, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x_BTD), approximate="tanh"))


class EncoderBlock(nn.Module):
    """Self-attention, then MLP; both after a norm."""

    def __init__(self, width: int, heads: int, factor: int, tunables: Tunables, causal: bool) -> None:
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, heads, tunables, causal)
        self.mlp = Mlp(width, factor, tunables)

    def forward(self, x_BTD: Tensor, turn: Tensor, bias_B11S: Tensor) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), turn, bias_B11S)
        return x_BTD + self.mlp(self.mlp_norm(x_BTD))


@dataclass(frozen=True)
class Memory:
    """One encoded condition: the states to which decoders attend, their positions, and which are not padding."""

    x_BSD: Tensor
    positions_BS: Tensor
    visible_BS: Tensor | None
    """None: nothing is padding."""
    timed_B: Tensor | None = None
    """Which clips have positions at all; None: all."""

    def without_mask(self) -> "Memory":
        """The same, without its mask if that hides nothing, which makes steps cheaper. (Waits for the device.)"""
        if self.visible_BS is None or not bool(self.visible_BS.all()):
            return self
        return replace(self, visible_BS=None)


class ConditionEncoder(nn.Module):
    """An embedded condition -> Memory. Length 0 means that a clip lacks the condition: it gets one learned null token.

    Length 0 is used for a condition that is dropped in training, left out for guidance, or missing.
    """

    def __init__(
        self, width: int, heads: int, layers: int, factor: int, tunables: Tunables, causal: bool = False
    ) -> None:
        super().__init__()
        self.head_width = width // heads
        self.null_D = vector(width, tunables)
        self.blocks = nn.ModuleList(EncoderBlock(width, heads, factor, tunables, causal) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x_BSD: Tensor, length_B: Tensor, own_BS: Tensor, axis_BS: Tensor, timed_B: Tensor | None = None
    ) -> Memory:
        """`own`: positions among its own places; `axis`: positions on the decoder's axis."""
        place_S = torch.arange(x_BSD.shape[1], device=x_BSD.device)
        is_null_BS1 = ((length_B == 0)[:, None] & (place_S == 0))[..., None]
        x_BSD = torch.where(is_null_BS1, self.null_D.to(x_BSD.dtype), x_BSD)
        visible_BS = place_S < length_B.clamp(min=1)[:, None]
        turn = rotation(own_BS, self.head_width)
        bias = visible_bias(visible_BS, x_BSD.dtype)
        for block in self.blocks:
            x_BSD = block(x_BSD, turn, bias)
        return Memory(self.norm(x_BSD), axis_BS, visible_BS, timed_B)


class DecoderBlock(nn.Module):
    """Causal self-attention, the two cross-attentions, MLP."""

    def __init__(self, width: int, heads: int, key_heads: int, factor: int, tunables: Tunables) -> None:
        super().__init__()
        self.attention_norm, self.cross_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, key_heads, tunables, causal=True)
        self.cross = CrossPair(width, heads, key_heads, tunables)
        self.mlp = Mlp(width, factor, tunables)

    def forward(
        self, x_BTD: Tensor, own: Tensor, across: Tensor, keys: CrossKeys, cache: LayerCache | None = None
    ) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), own, cache=cache)
        x_BTD = x_BTD + self.cross(self.cross_norm(x_BTD), across, keys)
        return x_BTD + self.mlp(self.mlp_norm(x_BTD))


class Decoder(nn.Module):
    """x_BTD (embedded tokens so far) -> x_BTD (normalised), attending to a text-like and a music memory."""

    def __init__(self, width: int, heads: int, key_heads: int, layers: int, factor: int, tunables: Tunables) -> None:
        super().__init__()
        self.key_heads, self.head_width = key_heads, width // heads
        self.blocks = nn.ModuleList(DecoderBlock(width, heads, key_heads, factor, tunables) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def rotations(self, positions_BT: Tensor, text: Memory) -> tuple[Tensor, Tensor]:
        """(own, across): the rotations of queries at these positions in self- and in cross-attention."""
        own = rotation(positions_BT, self.head_width)
        text_turn = own if text.timed_B is None else unrotated_where(~text.timed_B, own)
        return own, side_by_side(text_turn, own)

    def cross_keys(self, text: Memory, music: Memory) -> list[CrossKeys]:
        """Keys and values of both memories for each layer."""
        turns = [rotation(m.positions_BS, self.head_width) for m in (text, music)]
        biases = [None if m.visible_BS is None else visible_bias(m.visible_BS, m.x_BSD.dtype) for m in (text, music)]
        crosses: list[CrossPair] = [block.cross for block in cast(Iterable[DecoderBlock], self.blocks)]
        return [
            CrossKeys(
                *cross.keys_values(text.x_BSD, turns[0], cross.text_kv), biases[0],
                *cross.keys_values(music.x_BSD, turns[1], cross.music_kv), biases[1],
            )
            for cross in crosses
        ]  # fmt: skip

    def new_cache(self, clips: int, length: int) -> list[LayerCache]:
        """Empty caches for so many clips and places."""
        like = self.norm.weight
        return [LayerCache(clips, self.key_heads, length, self.head_width, like) for _ in self.blocks]

    def forward(
        self,
        x_BTD: Tensor,
        own: Tensor,
        across: Tensor,
        keys: list[CrossKeys],
        cache: list[LayerCache] | None = None,
    ) -> Tensor:
        for i, block in enumerate(self.blocks):
            x_BTD = block(x_BTD, own, across, keys[i], cache[i] if cache else None)
        return self.norm(x_BTD)
