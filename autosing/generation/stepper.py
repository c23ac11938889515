"""A decoder and its conditions -> a machine that takes embedded tokens and gives what follows, keeping what it can.

A step reads every weight once for a single place, so it costs what memory and calls cost: here it is written out with
as few of both as there can be. That it is the decoder all the same is a law (tests/test_generation.py).

Shapes: B clips (candidates and their guidance variants), T new places, S places so far, H heads, W head width, D width.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from autosing.nn.attention import CrossKeys, LayerCache
from autosing.nn.transformer import Decoder, DecoderBlock, Memory

Keep = Literal["all", "past", "nothing"]
"""`all`: keys and values of the conditions once, of the past as they come. The others are there to be compared with:
`past` computes the conditions' anew at each step, as AutoSing does, and `nothing` everything."""


class Stepper:
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
        """The newest places' inputs -> x_BD, the decoder's output at the last of them."""
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


class _Layer(NamedTuple):
    """A decoder block's tensors. Weights are seen as input times output, as torch.addmm wants them."""

    heads: int
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
            attention.heads,
            attention.scale,
            norms[0],
            qkv,
            outs[0],
            norms[1],
            query_gate,
            outs[1],
            norms[2],
            up,
            outs[2],
        )

    def step(self, x_BD: Tensor, own: Tensor, across: Tensor, keys: CrossKeys, cache: LayerCache) -> Tensor:
        """As DecoderBlock.forward, for the one newest place."""
        B, D = x_BD.shape
        heads, scale, shape = self.heads, self.scale, (D,)
        qkv_BP = torch.addmm(self.qkv[0], F.layer_norm(x_BD, shape, *self.attention_norm), self.qkv[1])
        q_BHW, kv_B2HW = _turned(qkv_BP.view(B, 3, heads, -1), own).split_with_sizes((1, 2), 1)
        k_BHSW, v_BHSW = cache.append(kv_B2HW.transpose(0, 1).unsqueeze(3))
        past_BH1W = F.scaled_dot_product_attention(q_BHW.transpose(1, 2), k_BHSW, v_BHSW, scale=scale)
        x_BD = torch.addmm(x_BD, past_BH1W.view(B, D), self.attention_out)

        both_BP = torch.addmm(self.query_gate[0], F.layer_norm(x_BD, shape, *self.cross_norm), self.query_gate[1])
        q_BHW2 = _turned(both_BP[:, : 2 * D].view(B, 2, heads, -1), across).transpose(1, 2)
        text_BH1W = F.scaled_dot_product_attention(
            q_BHW2[:, :, :1], keys.text_k_BHSW, keys.text_v_BHSW, keys.text_bias_B11S, scale=scale
        )
        music_BH1W = F.scaled_dot_product_attention(
            q_BHW2[:, :, 1:], keys.music_k_BHSW, keys.music_v_BHSW, keys.music_bias_B11S, scale=scale
        )
        gate_B2H11 = both_BP[:, 2 * D :].view(B, 2, heads, 1, 1).softmax(1)
        heard_BP = (torch.stack((text_BH1W, music_BH1W), 1) * gate_B2H11).view(B, 2 * D)
        x_BD = torch.addmm(x_BD, heard_BP, self.cross_out)

        up_BF = torch.addmm(self.up[0], F.layer_norm(x_BD, shape, *self.mlp_norm), self.up[1])
        return torch.addmm(x_BD, F.gelu(up_BF, approximate="tanh"), self.down)


def _turned(x_BnHW: Tensor, turn_BnH: Tensor) -> Tensor:
    """As positions.rotate, of one place."""
    B, n, heads, width = x_BnHW.shape
    pairs = torch.view_as_complex(x_BnHW.float().view(B, n, heads, width // 2, 2))
    return torch.view_as_real(pairs * turn_BnH).view(B, n, heads, width).to(x_BnHW.dtype)
