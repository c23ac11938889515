"""A decoder and its conditions -> a machine that takes embedded tokens and gives what follows, keeping what it can.

Shapes: B clips (candidates and their guidance variants), T new places, D width.
"""

from typing import Literal

import torch
from torch import Tensor

from autosing.nn.transformer import Decoder, Memory

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
        self.own, self.across = decoder.rotations(positions_T[None], self.text, self.text.x_BSD.dtype)
        self.keys = decoder.cross_keys(self.text, self.music)
        self.cache = decoder.new_cache(clips, len(positions_T)) if keep != "nothing" else None
        self.place = 0
        self._fed: list[Tensor] = []

    def __call__(self, x_BTD: Tensor) -> Tensor:
        """The newest places' inputs -> x_BD, the decoder's output at the last of them."""
        first, count = self.place, x_BTD.shape[1]
        self.place += count
        if self.keep != "all":
            self.keys = self.decoder.cross_keys(self.text, self.music)
        if self.cache is None:
            self._fed.append(x_BTD)
            x_BTD, first, count = torch.cat(self._fed, 1), 0, self.place
        own, across = self.own.at(first, count), self.across.at(first, count)
        return self.decoder(x_BTD, own, across, self.keys, self.cache)[:, -1]
