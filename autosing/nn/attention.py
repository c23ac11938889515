"""Queries, keys, values -> what was attended to; the cache of a decoder's own past; two gated cross-attentions.

Shapes: B clips, T queries, S keys, H heads, W head width, D = H * W.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosing.nn.mup import Linear, Tunables
from autosing.nn.positions import Rotation, rotate


def attend(
    q_BHTW: Tensor, k_BHSW: Tensor, v_BHSW: Tensor, scale: float, bias_B11S: Tensor | None = None, causal: bool = False
) -> Tensor:
    """-> x_BTD. `bias` is 0 where a key may be seen and -inf where not."""
    if q_BHTW.shape[2] == 1 and not causal and q_BHTW.device.type == "cpu":
        # A single query: two plain products are a fifth faster than torch's fused kernel.
        scores_BH1S = (q_BHTW * scale) @ k_BHSW.transpose(-1, -2)
        if bias_B11S is not None:
            scores_BH1S = scores_BH1S + bias_B11S
        x_BHTW = scores_BH1S.softmax(-1) @ v_BHSW
    else:
        x_BHTW = F.scaled_dot_product_attention(q_BHTW, k_BHSW, v_BHSW, bias_B11S, is_causal=causal, scale=scale)
    return x_BHTW.transpose(1, 2).flatten(2)


def visible_bias(visible_BS: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask of keys -> what is added to their scores."""
    bias_BS = torch.zeros_like(visible_BS, dtype=dtype).masked_fill(~visible_BS, float("-inf"))
    return bias_BS[:, None, None]


class LayerCache:
    """Keys and values of one layer's own past, in tensors allocated once."""

    def __init__(self, clips: int, heads: int, length: int, head_width: int, like: Tensor) -> None:
        self.keys = like.new_empty(clips, heads, length, head_width)
        self.values = torch.empty_like(self.keys)
        self.filled = 0

    def append(self, k_BHTW: Tensor, v_BHTW: Tensor) -> tuple[Tensor, Tensor]:
        """Add the newest places; -> all keys and values so far (views)."""
        first, last = self.filled, self.filled + k_BHTW.shape[2]
        self.keys[:, :, first:last] = k_BHTW
        self.values[:, :, first:last] = v_BHTW
        self.filled = last
        return self.keys[:, :, :last], self.values[:, :, :last]


class SelfAttention(nn.Module):
    """x_BTD -> x_BTD, each place over all (or, causal, over itself and the past)."""

    def __init__(self, width: int, heads: int, tunables: Tunables, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.scale = tunables.query_mult * 8 * heads / width
        self.qkv = Linear(width, 3 * width, tunables)
        self.out = Linear(width, width, tunables)
        with torch.no_grad():
            self.qkv.weight_IO[:, :width].zero_()

    def forward(
        self, x_BTD: Tensor, turn: Rotation, bias_B11S: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        B, T, _ = x_BTD.shape
        qkv_BT3HW = self.qkv(x_BTD).view(B, T, 3, self.heads, -1)
        q_BHTW, k_BHTW = rotate(qkv_BT3HW[:, :, :2], turn).permute(2, 0, 3, 1, 4).unbind(0)
        v_BHTW = qkv_BT3HW[:, :, 2].transpose(1, 2)
        if cache is None:
            # Padding stands at the end, so a causal pass never sees it and needs no bias.
            return self.out(attend(q_BHTW, k_BHTW, v_BHTW, self.scale, None if self.causal else bias_B11S, self.causal))
        first = cache.filled
        assert T == 1 or first == 0, "a prompt goes through an empty cache"
        k_BHSW, v_BHSW = cache.append(k_BHTW, v_BHTW)
        return self.out(attend(q_BHTW, k_BHSW, v_BHSW, self.scale, causal=T > 1))


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
        self.query_gate = Linear(width, 2 * width + heads, tunables, zero=True)
        self.text_kv = Linear(width, 2 * width, tunables)
        self.music_kv = Linear(width, 2 * width, tunables)
        self.out = Linear(2 * width, width, tunables)
        with torch.no_grad():
            self.query_gate.bias_O[2 * width :] = torch.tensor(text_share).logit()

    def keys_values(self, memory_BSD: Tensor, turn: Rotation, linear: Linear) -> tuple[Tensor, Tensor]:
        """A memory -> its rotated keys and its values, BHSW."""
        B, S, _ = memory_BSD.shape
        kv_BS2HW = linear(memory_BSD).view(B, S, 2, self.heads, -1)
        k_BSHW = rotate(kv_BS2HW[:, :, :1], turn)[:, :, 0]
        return k_BSHW.transpose(1, 2).contiguous(), kv_BS2HW[:, :, 1].transpose(1, 2).contiguous()

    def forward(self, x_BTD: Tensor, turn: Rotation, keys: CrossKeys) -> Tensor:
        B, T, _ = x_BTD.shape
        both_BTP = self.query_gate(x_BTD)
        gate_BTH1 = both_BTP[..., 2 * self.width :].sigmoid()[..., None]
        q_BT2HW = both_BTP[..., : 2 * self.width].view(B, T, 2, self.heads, -1)
        q_text, q_music = rotate(q_BT2HW, turn).permute(2, 0, 3, 1, 4).unbind(0)
        text_BTD = attend(q_text, keys.text_k_BHSW, keys.text_v_BHSW, self.scale, keys.text_bias_B11S)
        music_BTD = attend(q_music, keys.music_k_BHSW, keys.music_v_BHSW, self.scale, keys.music_bias_B11S)
        text_BTHW, music_BTHW = text_BTD.view(B, T, self.heads, -1), music_BTD.view(B, T, self.heads, -1)
        mixed = torch.cat([(text_BTHW * gate_BTH1).flatten(2), (music_BTHW * (1 - gate_BTH1)).flatten(2)], -1)
        return self.out(mixed)
