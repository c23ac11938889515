"""A decoder and its conditions -> an incremental decoder: embedded tokens in, the decoder's output at the last one out.

Keys and values of all earlier places are cached. A step reads every weight once for a single place, so its time is
memory traffic and kernel launches; this file keeps both small. tests/test_generation.py checks that the result equals
the decoder's own.

Shapes: B clips (candidates and their guidance variants), T new places, S places so far, H query heads in K groups
of G that share keys and values, N heads of all kinds, W head width, D width.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from autosing.nn.attention import CrossKeys, LayerCache
from autosing.nn.positions import rotate
from autosing.nn.transformer import Decoder, DecoderBlock, Memory

Keep = Literal["all", "past", "nothing"]
"""What is cached. `all`: keys and values of the conditions and of the past. The others exist for comparison: `past`
computes those of the conditions again at each step, as AutoSing does; `nothing` computes everything again."""


class IncrementalDecoder:
    """One window's decoding. Places are fed in order: first the prompt (any number), then one at a time."""

    def __init__(
        self, decoder: Decoder, text: Memory, music: Memory, positions_T: Tensor, clips: int, keep: Keep = "all"
    ) -> None:
        self.decoder, self.keep = decoder, keep
        self.text, self.music = text.without_mask(), music.without_mask()
        self.own, self.across = decoder.rotations(positions_T[None], self.text)
        self.keys = decoder.cross_keys(self.text, self.music)
        self.cache = decoder.new_cache(clips, len(positions_T)) if keep != "nothing" else []
        self.layers = [_Layer.of(block) for block in decoder.blocks]  # type: ignore[arg-type]
        self.place = 0
        self._fed: list[Tensor] = []

    def __call__(self, x_BTD: Tensor) -> Tensor:
        """The inputs at the newest places -> x_BD, the decoder's output at the last of them."""
        first, self.place = self.place, self.place + x_BTD.shape[1]
        if self.keep != "all":
            self.keys = self.decoder.cross_keys(self.text, self.music)
        if self.keep == "nothing":
            self._fed.append(x_BTD)
            x_BTD, first = torch.cat(self._fed, 1), 0
        own, across = self.own[:, first : self.place], self.across[:, first : self.place]
        if first == 0:
            return self.decoder(x_BTD, own, across, self.keys, self.cache or None)[:, -1]
        x_BD, own, across = x_BTD[:, 0], own[:, 0], across[:, 0]
        for layer, keys, cache in zip(self.layers, self.keys, self.cache, strict=True):
            x_BD = layer.step(x_BD, own, across, keys, cache)
        return self.decoder.norm(x_BD)


class FixedDecoder:
    """The same for one place a call, with shapes and memory that stay: a call can be captured as a CUDA graph and be
    replayed. All of the cache is read at each step, so early steps cost as much as the last one."""

    def __init__(self, decoder: Decoder, text: Memory, music: Memory, positions_T: Tensor, clips: int) -> None:
        text, music = text.without_mask(), music.without_mask()
        own, across = decoder.rotations(positions_T[None], text)
        self._norm, self._keys = decoder.norm, decoder.cross_keys(text, music)
        self._own, self._across = own, across
        self._layers = [_Layer.of(block) for block in decoder.blocks]  # type: ignore[arg-type]
        self.place_1 = torch.zeros(1, dtype=torch.long, device=positions_T.device)
        """Which place the next call is; a call moves it on. Zero it to begin anew."""
        self._place_T = torch.arange(len(positions_T), device=positions_T.device)
        like, key_heads, width = decoder.norm.weight, decoder.key_heads, decoder.head_width
        self._caches = [
            _FixedCache(like.new_zeros(2, clips, key_heads, len(positions_T), width), self.place_1)
            for _ in self._layers
        ]

    def __call__(self, x_BD: Tensor) -> Tensor:
        """The input at the next place -> x_BD, the decoder's output there."""
        own, across = (turn.index_select(1, self.place_1)[:, 0] for turn in (self._own, self._across))
        past_111S = torch.zeros_like(self._place_T, dtype=x_BD.dtype)
        past_111S = past_111S.masked_fill(self._place_T > self.place_1, float("-inf"))[None, None, None]
        for layer, keys, cache in zip(self._layers, self._keys, self._caches, strict=True):
            x_BD = layer.step(x_BD, own, across, keys, cache, past_111S)
        self.place_1 += 1
        answer: Tensor = self._norm(x_BD)
        return answer

    @property
    def read_bytes(self) -> int:
        """What a call must read of weights, of the conditions and of the past."""
        tensors: list[Tensor] = []
        for layer in self._layers:
            for held in layer:
                tensors += held if isinstance(held, tuple) else [held] if isinstance(held, Tensor) else []
        for keys in self._keys:
            tensors += [keys.text_k_BKSW, keys.text_v_BKSW, keys.music_k_BKSW, keys.music_v_BKSW]
        tensors += [cache.kv_2BKSW for cache in self._caches]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class _FixedCache(NamedTuple):
    """Keys and values of one layer at all places; those not yet reached are zeros, which a bias must hide."""

    kv_2BKSW: Tensor
    place_1: Tensor

    def append(self, k_BK1W: Tensor, v_BK1W: Tensor) -> tuple[Tensor, Tensor]:
        """Put the newest place in; -> all keys and values."""
        keys, values = self.kv_2BKSW.unbind(0)
        keys.index_copy_(2, self.place_1, k_BK1W)
        values.index_copy_(2, self.place_1, v_BK1W)
        return keys, values


_LONE_WIDTH = 512
"""Up to this width a second CPU thread makes a step less than a tenth faster, for twice the CPU time."""


@contextmanager
def threads_of_steps(decoder: Decoder) -> Iterator[None]:
    """Inside, small decoders on a CPU use one thread, so that their results do not depend on the number of threads."""
    weight, before = decoder.norm.weight, torch.get_num_threads()
    alone = weight.device.type == "cpu" and len(weight) <= _LONE_WIDTH
    torch.set_num_threads(1 if alone else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Layer(NamedTuple):
    """A decoder block's tensors. Weights have the shape [input, output], as torch.addmm needs."""

    heads: int
    key_heads: int
    scale: float
    attention_norm: tuple[Tensor, Tensor]
    qkv: tuple[Tensor, Tensor]
    attention_out: Tensor
    cross_norm: tuple[Tensor, Tensor]
    query_gate: tuple[Tensor, Tensor]
    cross_out: Tensor
    mlp_norm: tuple[Tensor, Tensor]
    up: tuple[Tensor, Tensor]
    down: Tensor

    @classmethod
    def of(cls, block: DecoderBlock) -> "_Layer":
        attention, cross, mlp = block.attention, block.cross, block.mlp
        norms = [(norm.weight, norm.bias) for norm in (block.attention_norm, block.cross_norm, block.mlp_norm)]
        (qkv, query_gate, up) = [(x.bias_O, x.weight_OI.t()) for x in (attention.qkv, cross.query_gate, mlp.up)]
        outs = [x.weight_OI.t() for x in (attention.out, cross.out, mlp.down)]
        return cls(
            attention.heads, attention.key_heads, attention.scale,
            norms[0], qkv, outs[0], norms[1], query_gate, outs[1], norms[2], up, outs[2],
        )  # fmt: skip

    def step(
        self,
        x_BD: Tensor,
        own: Tensor,
        across: Tensor,
        keys: CrossKeys,
        cache: "LayerCache | _FixedCache",
        past_111S: Tensor | None = None,
    ) -> Tensor:
        """As DecoderBlock.forward, for the one newest place. `past`: a bias that hides what the cache holds beyond."""
        B, D = x_BD.shape
        heads, key_heads, scale, shape = self.heads, self.key_heads, self.scale, (D,)
        qkv_BP = torch.addmm(self.qkv[0], F.layer_norm(x_BD, shape, *self.attention_norm), self.qkv[1])
        qkv_BNW = qkv_BP.view(B, heads + 2 * key_heads, -1)
        qk_BNW, v_BKW = qkv_BNW.split_with_sizes((heads + key_heads, key_heads), 1)
        q_BHW, k_BKW = rotate(qk_BNW, own[:, 0]).split_with_sizes((heads, key_heads), 1)
        k_BKSW, v_BKSW = cache.append(k_BKW.unsqueeze(2), v_BKW.unsqueeze(2))
        # The heads of a group take the place of queries, so that each key is read once for all of them.
        groups = (B, key_heads, heads // key_heads, -1)
        past_BKGW = F.scaled_dot_product_attention(q_BHW.reshape(groups), k_BKSW, v_BKSW, past_111S, scale=scale)
        x_BD = torch.addmm(x_BD, past_BKGW.reshape(B, D), self.attention_out)

        both_BP = torch.addmm(self.query_gate[0], F.layer_norm(x_BD, shape, *self.cross_norm), self.query_gate[1])
        q_text_BHW, q_music_BHW = rotate(both_BP[:, : 2 * D].view(B, 2, heads, -1), across).unbind(1)
        text_BKGW = F.scaled_dot_product_attention(
            q_text_BHW.reshape(groups), keys.text_k_BKSW, keys.text_v_BKSW, keys.text_bias_B11S, scale=scale
        )
        music_BKGW = F.scaled_dot_product_attention(
            q_music_BHW.reshape(groups), keys.music_k_BKSW, keys.music_v_BKSW, keys.music_bias_B11S, scale=scale
        )
        gate_B2KG1 = both_BP[:, 2 * D :].view(B, 2, *groups[1:3], 1).softmax(1)
        heard_BP = (torch.stack((text_BKGW, music_BKGW), 1) * gate_B2KG1).view(B, 2 * D)
        x_BD = torch.addmm(x_BD, heard_BP, self.cross_out)

        up_BF = torch.addmm(self.up[0], F.layer_norm(x_BD, shape, *self.mlp_norm), self.up[1])
        return torch.addmm(x_BD, F.gelu(up_BF, approximate="tanh"), self.down)
