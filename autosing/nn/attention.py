"""Attention of queries over keys and values; the cache of a decoder's own past; two gated cross-attentions.

Query heads may share keys and values in equal groups (grouped-query attention, arXiv:2305.13245). A step reads all keys
and values once, so it becomes cheaper by that factor.

Shapes: B clips, T queries, S keys, H query heads, K key heads, W head width, D = H * W.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosing.nn.mup import Linear, Tunables
from autosing.nn.positions import rotate


def attend(
    q_BHTW: Tensor, k_BKSW: Tensor, v_BKSW: Tensor, scale: float, bias_B11S: Tensor | None = None, causal: bool = False
) -> Tensor:
    """-> x_BHTW. `bias` is 0 where a key may be seen and -inf where not."""
    if q_BHTW.device.type == "cpu" and q_BHTW.dtype == torch.bfloat16:
        return _attend_by_products(q_BHTW, k_BKSW, v_BKSW, scale, bias_B11S, causal)
    grouped = q_BHTW.shape[1] != k_BKSW.shape[1]
    return F.scaled_dot_product_attention(
        q_BHTW, k_BKSW, v_BKSW, bias_B11S, is_causal=causal, scale=scale, enable_gqa=grouped
    )


def _attend_by_products(
    q_BHTW: Tensor, k_BKSW: Tensor, v_BKSW: Tensor, scale: float, bias_B11S: Tensor | None, causal: bool
) -> Tensor:
    """The same by two matrix products: in bf16 a CPU does a training step so in a third to a half of the time that
    torch's fused attention takes (torch 2.11, 150 to 300 places). Queries of a group are rows of one product."""
    B, H, T, W = q_BHTW.shape
    groups = (B, k_BKSW.shape[1], H // k_BKSW.shape[1], T)
    scores = (q_BHTW.reshape(*groups[:2], -1, W) * scale) @ k_BKSW.mT
    scores_BKGTS = scores.view(*groups, -1)
    if causal:
        scores_BKGTS = scores_BKGTS + torch.full_like(scores_BKGTS[0, 0, 0], float("-inf")).triu(1)
    if bias_B11S is not None:
        scores_BKGTS = scores_BKGTS + bias_B11S[:, :, None]
    return (scores_BKGTS.softmax(-1).flatten(2, 3) @ v_BKSW).reshape(B, H, T, W)


def visible_bias(visible_BS: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask of keys -> the bias that is added to their scores."""
    bias_BS = torch.zeros_like(visible_BS, dtype=dtype).masked_fill(~visible_BS, float("-inf"))
    return bias_BS[:, None, None]


class LayerCache:
    """Keys and values of one layer's own past, in one tensor allocated once."""

    def __init__(self, clips: int, key_heads: int, length: int, head_width: int, like: Tensor) -> None:
        self.kv_2BKSW = like.new_empty(2, clips, key_heads, length, head_width)
        self.filled = 0

    def append(self, k_BKTW: Tensor, v_BKTW: Tensor) -> tuple[Tensor, Tensor]:
        """Add the newest places; -> all keys and values so far (views)."""
        first, self.filled = self.filled, self.filled + k_BKTW.shape[2]
        self.kv_2BKSW[0, :, :, first : self.filled] = k_BKTW
        self.kv_2BKSW[1, :, :, first : self.filled] = v_BKTW
        keys, values = self.kv_2BKSW[:, :, :, : self.filled].unbind(0)
        return keys, values


class SelfAttention(nn.Module):
    """x_BTD -> x_BTD, each place over all (or, causal, over itself and the past)."""

    def __init__(self, width: int, heads: int, key_heads: int, tunables: Tunables, causal: bool) -> None:
        super().__init__()
        self.heads, self.key_heads, self.causal = heads, key_heads, causal
        self.scale = tunables.query_mult * 8 * heads / width
        self.qkv = Linear(width, width // heads * (heads + 2 * key_heads), tunables)
        self.out = Linear(width, width, tunables, bias=False)
        with torch.no_grad():
            self.qkv.weight_OI[:width].zero_()

    def forward(
        self, x_BTD: Tensor, turn: Tensor, bias_B11S: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        B, T, _ = x_BTD.shape
        # Heads of queries, of keys, of values; values are not rotated.
        qkv_BTNW = self.qkv(x_BTD).view(B, T, self.heads + 2 * self.key_heads, -1)
        qk_BTNW, v_BTKW = qkv_BTNW.split_with_sizes((self.heads + self.key_heads, self.key_heads), 2)
        q_BTHW, k_BTKW = rotate(qk_BTNW, turn[:, :, 0]).split_with_sizes((self.heads, self.key_heads), 2)
        q_BHTW, k_BKTW, v_BKTW = q_BTHW.transpose(1, 2), k_BTKW.transpose(1, 2), v_BTKW.transpose(1, 2)
        if cache is None:
            # Padding is at the end, so a causal pass never attends to it and needs no bias.
            bias_B11S = None if self.causal else bias_B11S
            x_BHTW = attend(q_BHTW, k_BKTW, v_BKTW, self.scale, bias_B11S, self.causal)
        else:
            assert cache.filled == 0, "a prompt goes through an empty cache; single steps go through IncrementalDecoder"
            x_BHTW = attend(q_BHTW, *cache.append(k_BKTW, v_BKTW), self.scale, causal=True)
        return self.out(x_BHTW.transpose(1, 2).flatten(2))


@dataclass(frozen=True)
class CrossKeys:
    """One layer's keys and values of both memories: computed once a window, read at each step."""

    text_k_BKSW: Tensor
    text_v_BKSW: Tensor
    text_bias_B11S: Tensor | None
    music_k_BKSW: Tensor
    music_v_BKSW: Tensor
    music_bias_B11S: Tensor | None


class CrossPair(nn.Module):
    """x_BTD -> x_BTD: text (or semantic codes) and music attended in parallel from one normalised input.

    AutoSing mixes the two by fixed weights 0.8 and 0.2. Here a gate for each head and place is learned from that start.
    """

    def __init__(self, width: int, heads: int, key_heads: int, tunables: Tunables, text_share: float = 0.8) -> None:
        super().__init__()
        self.heads, self.key_heads, self.width = heads, key_heads, width
        self.scale = tunables.query_mult * 8 * heads / width
        self.query_gate = Linear(width, 2 * width + 2 * heads, tunables, zero=True)
        self.text_kv = Linear(width, 2 * width // heads * key_heads, tunables)
        self.music_kv = Linear(width, 2 * width // heads * key_heads, tunables)
        self.out = Linear(2 * width, width, tunables, bias=False)
        with torch.no_grad():
            shares = torch.tensor([text_share, 1 - text_share])
            self.query_gate.bias_O[2 * width :] = shares.log().repeat_interleave(heads)

    def keys_values(self, memory_BSD: Tensor, turn: Tensor, linear: Linear) -> tuple[Tensor, Tensor]:
        """A memory -> its rotated keys and its values, BKSW."""
        B, S, _ = memory_BSD.shape
        kv_BS2KW = linear(memory_BSD).view(B, S, 2, self.key_heads, -1)
        k_BSKW = rotate(kv_BS2KW[:, :, :1], turn)[:, :, 0]
        return k_BSKW.transpose(1, 2).contiguous(), kv_BS2KW[:, :, 1].transpose(1, 2).contiguous()

    def forward(self, x_BTD: Tensor, turn: Tensor, keys: CrossKeys) -> Tensor:
        B, T, _ = x_BTD.shape
        both_BTP = self.query_gate(x_BTD)
        q_BT2HW = rotate(both_BTP[..., : 2 * self.width].view(B, T, 2, self.heads, -1), turn)
        q_text, q_music = q_BT2HW.permute(2, 0, 3, 1, 4).unbind(0)
        text_BHTW = attend(q_text, keys.text_k_BKSW, keys.text_v_BKSW, self.scale, keys.text_bias_B11S)
        music_BHTW = attend(q_music, keys.music_k_BKSW, keys.music_v_BKSW, self.scale, keys.music_bias_B11S)
        gate_BT2H = both_BTP[..., 2 * self.width :].view(B, T, 2, self.heads).softmax(2)
        heard_BT2HW = torch.stack([text_BHTW, music_BHTW], 1).permute(0, 3, 1, 2, 4)
        return self.out((heard_BT2HW * gate_BT2H[..., None]).flatten(2))
