"""Semantic codes, accompaniment, voice -> acoustic codes of a singing of any length, several candidates at once.

Shapes: C candidates, G guidance variants, B = G * C clips, R rows, T columns, V codes of a row, D width.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosing.codecs.delay import FREE, Pattern
from autosing.errors import InputError
from autosing.generation.incremental import IncrementalDecoder, Keep, threads_of_steps
from autosing.generation.sampling import Guidance, Sampling, choose, uniforms
from autosing.generation.windows import next_window
from autosing.models.conditions import Item, crop_blocks, music_item, semantic_item, singer_item, stack
from autosing.models.sm2a import SM2A
from autosing.nn.mup import Linear
from autosing.timebase import SEMANTIC_RATE_HZ, num_frames_to_cover

Scale = Literal["fine", "coarse"]
"""fine: one code a step (AutoSing's unrolled bricks). coarse: several codes of a block in one step, drawn
independently of each other: fewer steps, lower quality."""
Progress = Callable[[int, int], None]
Levels = list[np.ndarray]


@torch.inference_mode()
def generate_acoustic(
    model: SM2A,
    semantic: Sequence[np.ndarray],
    music: Sequence[np.ndarray] | None,
    singer: np.ndarray | None,
    duration_s: float,
    sampling: Sampling | None = None,
    candidates: int | None = None,
    scale: Scale = "fine",
    prompt: Sequence[np.ndarray] | None = None,
    overlap_s: float = 5.0,
    keep: Keep = "all",
    progress: Progress | None = None,
    bias: Mapping[int, Tensor] | None = None,
) -> list[Levels]:
    """-> for each candidate the levels of its codes (int64): whole blocks that cover the duration, or its semantic
    codes if those end earlier.

    `semantic`: an array for each candidate, or one for all of `candidates`. `music`: levels of the accompaniment's
    codes, None if there is none. `prompt`: levels (whole blocks) at the start of the result. Windows beyond the context
    overlap by `overlap_s`. `bias`: level -> bias_V, which is added to the logits of its codes. Raises InputError if
    semantic codes are missing, or are not this model's.
    """
    if candidates is not None and len(semantic) == 1:
        semantic = list(semantic) * candidates
    if not semantic or (candidates is not None and len(semantic) != candidates):
        raise InputError(f"semantic codes: found {len(semantic)} sets; give one, or {candidates or 'at least one'}")
    highest = max((int(codes.max()) for codes in semantic if len(codes)), default=0)
    if highest >= model.config.semantic_size:
        raise InputError(
            f"semantic code {highest}: the model knows {model.config.semantic_size}; give codes of its codebook"
        )
    sampling = (sampling or Sampling()).filled(model.config.usual)
    song = _Song(model, semantic, music, singer, duration_s, sampling, scale, keep, bias or {})
    overlap = min(int(overlap_s / song.block_s), song.context // 2) or 1
    done = song.begin_with(prompt) if prompt is not None else 0
    while done < max(song.blocks_C):
        # From the duration alone: a candidate's windows must not depend on the lengths of the others.
        first, last = next_window(done, song.blocks, song.context, overlap)
        with threads_of_steps(model.decoder):
            song.sing(first, done, last, progress)
        done = last
    return song.levels_C


class _Song:
    """The codes sung so far, to which windows are added. Counts in blocks of the codec's coarsest stride."""

    def __init__(
        self, model: SM2A, semantic: Sequence[np.ndarray], music: Sequence[np.ndarray] | None,
        singer: np.ndarray | None, duration_s: float, sampling: Sampling, scale: Scale, keep: Keep,
        bias: Mapping[int, Tensor],
    ) -> None:  # fmt: skip
        self.model, self.semantic, self.music, self.singer = model, semantic, music, singer
        self.sampling, self.keep, self.bias = sampling, keep, bias
        self.pattern: Pattern = model.fine if scale == "fine" else model.coarse
        spec = model.spec
        block = Fraction(spec.block_samples, spec.sample_rate_hz)
        self.block_s = float(block)
        self.context = max(2, int(model.config.context_s / self.block_s))
        self.blocks = num_frames_to_cover(duration_s, 1 / block)
        own = [num_frames_to_cover(len(codes) / SEMANTIC_RATE_HZ, 1 / block) for codes in semantic]
        self.blocks_C = [min(self.blocks, blocks) for blocks in own]
        self.levels_C: list[Levels] = [[np.zeros(0, np.int64) for _ in spec.strides] for _ in semantic]
        present = [
            name for name, given in (("text", semantic), ("music", music), ("singer", singer)) if given is not None
        ]
        self.guidance = Guidance.of(sampling, present)

    def begin_with(self, prompt: Sequence[np.ndarray]) -> int:
        """Put the prompt at the start; -> its number of blocks."""
        blocks = len(prompt[0])
        lengths = [blocks * self.model.spec.block_frames // stride for stride in self.model.spec.strides]
        found = [len(level) for level in prompt]
        if found != lengths or blocks >= min(self.blocks_C):
            raise InputError(
                f"prompt: levels of {found} codes; give whole blocks, fewer than {min(self.blocks_C)} of them"
            )
        self.levels_C = [[np.asarray(level, np.int64) for level in prompt] for _ in self.levels_C]
        return blocks

    def sing(self, first: int, done: int, last: int, progress: Progress | None) -> None:
        """Generate blocks done .. last of each candidate that is that long, given its blocks first .. done."""
        spec, guidance = self.model.spec, self.guidance
        device = self.model.null_singer_D.device
        members = [c for c, blocks in enumerate(self.blocks_C) if blocks > done]
        ends = [min(last, self.blocks_C[c]) for c in members]
        both = list(zip(members, ends, strict=True))
        items = [self._conditions(c, first, end, without) for without in guidance.variants for c, end in both]
        columns = [self._template(c, first, end) for c, end in both]
        longest = max(column_RT.shape[1] for column_RT in columns)
        columns_CRT = torch.stack([F.pad(c, (0, longest - c.shape[1]), value=self.pattern.pad) for c in columns])
        # The same count for every window: a candidate's random numbers must not depend on the lengths of the others.
        steps = self.pattern.num_columns(self.context * spec.block_frames)
        uniform_TRC = uniforms(self.sampling, f"acoustic at {done}", members, steps, self.pattern.num_rows)
        batch = {name: value.to(device) for name, value in stack(items).items()}

        def tick(step: int) -> None:
            if progress is not None:
                progress(first + (last - first) * (step + 1) // longest, max(self.blocks_C))

        columns_CRT = self._fill(columns_CRT, batch, uniform_TRC.to(device), tick).cpu()
        for c, columns_RT, own_RT in zip(members, columns_CRT, columns, strict=True):
            levels = self.pattern.to_levels(columns_RT[:, : own_RT.shape[1]])
            kept = crop_blocks(self.levels_C[c], spec, 0, first)
            self.levels_C[c] = [np.concatenate([a, b.numpy()]) for a, b in zip(kept, levels, strict=True)]

    def _conditions(self, c: int, first: int, last: int, without: str | None) -> Item:
        start_s, end_s = first * self.block_s, last * self.block_s
        code = num_frames_to_cover(start_s, SEMANTIC_RATE_HZ)
        codes_N = self.semantic[c][code : num_frames_to_cover(end_s, SEMANTIC_RATE_HZ)]
        music = None if self.music is None else crop_blocks(self.music, self.model.spec, first, last - first)
        return (
            semantic_item(None if without == "text" else codes_N, code / float(SEMANTIC_RATE_HZ) - start_s)
            | music_item(None if without == "music" else music, self.model.coarse, self.model.num_rows)
            | singer_item(None if without == "singer" else self.singer)
        )

    def _template(self, c: int, first: int, last: int) -> Tensor:
        """columns_RT: codes that exist already and entries that the pattern determines; FREE elsewhere."""
        spec = self.model.spec
        prompt = crop_blocks(self.levels_C[c], spec, first, last - first)
        lengths = [(last - first) * spec.block_frames // stride for stride in spec.strides]
        padded = [np.pad(p, (0, n - len(p)), constant_values=FREE) for p, n in zip(prompt, lengths, strict=True)]
        return self.pattern.to_columns([torch.from_numpy(level) for level in padded])

    def _fill(
        self, columns_CRT: Tensor, batch: dict[str, Tensor], uniform_TRC: Tensor, tick: Callable[[int], None]
    ) -> Tensor:
        """Draw every FREE code, column by column; the other entries stay."""
        model, guidance = self.model, self.guidance
        free_CRT = columns_CRT == FREE
        live_RT = free_CRT.any(0)
        live = [torch.nonzero(rows_R)[:, 0].tolist() for rows_R in live_RT.T]
        shared = [[bool(free_CRT[:, row, t].all()) for row in rows] for t, rows in enumerate(live)]
        steps = [t for t, rows in enumerate(live) if rows]
        if not steps:
            return columns_CRT
        start, stop = steps[0], steps[-1]
        memory = model.encode(batch)
        device = memory.singer_B1D.device
        free_CRT, columns_CRT = free_CRT.to(device), columns_CRT.to(device)
        positions_T = self.pattern.positions(stop, 1).to(device)
        decoder = IncrementalDecoder(
            model.decoder, memory.semantic, memory.music, positions_T, len(batch["singer"]), self.keep
        )
        rows = [_Row(model, row) for row in range(model.num_rows)]
        biases = [self.bias[level].to(device) if level in self.bias else 0.0 for level in self.pattern.row_levels]
        input_CRT = columns_CRT[:, :, :start]
        for t in range(start, stop + 1):
            x_BTD = model.columns(input_CRT).repeat(len(guidance.variants), 1, 1) + memory.singer_B1D
            x_BD = decoder(x_BTD)
            for row, everyone in zip(live[t], shared[t], strict=True):
                code_C = choose(guidance.combine(rows[row](x_BD)) + biases[row], uniform_TRC[t, row], self.sampling)
                if not everyone:
                    code_C = torch.where(free_CRT[:, row, t], code_C, columns_CRT[:, row, t])
                columns_CRT[:, row, t] = code_C
            input_CRT = columns_CRT[:, :, t : t + 1]
            tick(t)
        return columns_CRT


class _Row:
    """x_BD -> logits_BV of one row: the same as SM2A.row_logits, with weights arranged for one position per call."""

    def __init__(self, model: SM2A, row: int) -> None:
        width = model.config.shape.width
        part = slice(row * width, (row + 1) * width)
        self.weight_DD = model.head.weight_OI[part].t().contiguous()
        self.bias_D = model.head.bias_O[part]
        readout = cast(Linear, model.readouts[row])
        self.readout_DF = (readout.weight_OI * model.readout_scale).t().contiguous()
        self.readout_F = readout.bias_O * model.readout_scale
        entries_VF = model.columns.entries(row).to(self.bias_D.dtype)
        self.entries_FV = entries_VF.t().contiguous()
        self.bias_V = model.bias_RV[row, : len(entries_VF)]

    def __call__(self, x_BD: Tensor) -> Tensor:
        hidden_BD = F.gelu(torch.addmm(self.bias_D, x_BD, self.weight_DD), approximate="tanh")
        return torch.addmm(self.bias_V, torch.addmm(self.readout_F, hidden_BD, self.readout_DF), self.entries_FV)
