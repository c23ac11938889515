"""Queries, keys, values -> what was attended to; the cache of a decoder's own past; two gated cross-attentions.

Shapes: B clips, T queries, S keys, H heads, W head width, D = H * W.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosing.nn.mup import Linear, Tunables
from autosing.nn.positions import rotate


def attend(
    q_BHTW: Tensor, k_BHSW: Tensor, v_BHSW: Tensor, scale: float, bias_B11S: Tensor | None = None, causal: bool = False
) -> Tensor:
    """-> x_BHTW. `bias` is 0 where a key may be seen and -inf where not."""
    return F.scaled_dot_product_attention(q_BHTW, k_BHSW, v_BHSW, bias_B11S, is_causal=causal, scale=scale)


def visible_bias(visible_BS: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask of keys -> what is added to their scores."""
    bias_BS = torch.zeros_like(visible_BS, dtype=dtype).masked_fill(~visible_BS, float("-inf"))
    return bias_BS[:, None, None]


class LayerCache:
    """Keys and values of one layer's own past, in one tensor allocated once."""

    def __init__(self, clips: int, heads: int, length: int, head_width: int, like: Tensor) -> None:
        self.kv_2BHSW = like.new_empty(2, clips, heads, length, head_width)
        self.filled = 0

    def append(self, kv_2BHTW: Tensor) -> tuple[Tensor, Tensor]:
        """Add the newest places; -> all keys and values so far (views)."""
        first, self.filled = self.filled, self.filled + kv_2BHTW.shape[3]
        self.kv_2BHSW[:, :, :, first : self.filled] = kv_2BHTW
        keys, values = self.kv_2BHSW[:, :, :, : self.filled].unbind(0)
        return keys, values


class SelfAttention(nn.Module):
    """x_BTD -> x_BTD, each place over all (or, causal, over itself and the past)."""

    def __init__(self, width: int, heads: int, tunables: Tunables, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.scale = tunables.query_mult * 8 * heads / width
        self.qkv = Linear(width, 3 * width, tunables)
        self.out = Linear(width, width, tunables, bias=False)
        with torch.no_grad():
            self.qkv.weight_OI[:width].zero_()

    def forward(
        self, x_BTD: Tensor, turn: Tensor, bias_B11S: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        B, T, _ = x_BTD.shape
        qkv_3BHTW = rotate(self.qkv(x_BTD).view(B, T, 3, self.heads, -1), turn).permute(2, 0, 3, 1, 4)
        if cache is None:
            # Padding stands at the end, so a causal pass never sees it and needs no bias.
            bias_B11S = None if self.causal else bias_B11S
            q_BHTW, k_BHTW, v_BHTW = qkv_3BHTW.unbind(0)
            x_BHTW = attend(q_BHTW, k_BHTW, v_BHTW, self.scale, bias_B11S, self.causal)
        else:
            assert cache.filled == 0, "a prompt goes through an empty cache; single steps go through the stepper"
            x_BHTW = attend(qkv_3BHTW[0], *cache.append(qkv_3BHTW[1:]), self.scale, causal=True)
        return self.out(x_BHTW.transpose(1, 2).flatten(2))


@dataclass(frozen=True)
class CrossKeys:
    """One layer's keys and values of both memories: computed once a window, read at each step."""

    text_k_BHSW: Tensor
    text_v_BHSW: Tensor
    text_bias_B11S: Tensor | None
    music_k_BHSW: Tensor
    music_v_BHSW: Tensor
    music_bias_B11S: Tensor | None


class CrossPair(nn.Module):
    """x_BTD -> x_BTD: text (or semantic codes) and music attended in parallel from one normalised input.

    AutoSing mixes the two by fixed weights 0.8 and 0.2; here a gate a head, a place, is learned and starts there.
    """

    def __init__(self, width: int, heads: int, tunables: Tunables, text_share: float = 0.8) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.scale = tunables.query_mult * 8 * heads / width
        self.query_gate = Linear(width, 2 * width + 2 * heads, tunables, zero=True)
        self.text_kv = Linear(width, 2 * width, tunables)
        self.music_kv = Linear(width, 2 * width, tunables)
        self.out = Linear(2 * width, width, tunables, bias=False)
        with torch.no_grad():
            shares = torch.tensor([text_share, 1 - text_share])
            self.query_gate.bias_O[2 * width :] = shares.log().repeat_interleave(heads)

    def keys_values(self, memory_BSD: Tensor, turn: Tensor, linear: Linear) -> tuple[Tensor, Tensor]:
        """A memory -> its rotated keys and its values, BHSW."""
        B, S, _ = memory_BSD.shape
        kv_BS2HW = linear(memory_BSD).view(B, S, 2, self.heads, -1)
        k_BSHW = rotate(kv_BS2HW[:, :, :1], turn)[:, :, 0]
        return k_BSHW.transpose(1, 2).contiguous(), kv_BS2HW[:, :, 1].transpose(1, 2).contiguous()

    def forward(self, x_BTD: Tensor, turn: Tensor, keys: CrossKeys) -> Tensor:
        B, T, _ = x_BTD.shape
        both_BTP = self.query_gate(x_BTD)
        q_BT2HW = rotate(both_BTP[..., : 2 * self.width].view(B, T, 2, self.heads, -1), turn)
        q_text, q_music = q_BT2HW.permute(2, 0, 3, 1, 4).unbind(0)
        text_BHTW = attend(q_text, keys.text_k_BHSW, keys.text_v_BHSW, self.scale, keys.text_bias_B11S)
        music_BHTW = attend(q_music, keys.music_k_BHSW, keys.music_v_BHSW, self.scale, keys.music_bias_B11S)
        gate_BT2H = both_BTP[..., 2 * self.width :].view(B, T, 2, self.heads).softmax(2)
        heard_BT2HW = torch.stack([text_BHTW, music_BHTW], 1).permute(0, 3, 1, 2, 4)
        return self.out((heard_BT2HW * gate_BT2H[..., None]).flatten(2))
