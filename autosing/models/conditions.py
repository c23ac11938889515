"""The conditions of t2s and sm2a (lyrics or semantic codes, accompaniment, voice) -> tensors; None is an absent one.

Training drops a condition by giving None here, and guidance leaves one out by giving None here: so the unconditional
branch is exactly what was trained.

Shapes: B clips, L text tokens, N semantic codes, R rows, M columns of the accompaniment, E = 256 voice.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosing.codecs.delay import Pattern
from autosing.codecs.spec import CodecSpec
from autosing.text.tokenizer import TimedText

SINGER_WIDTH = 256
Item = dict[str, Tensor]


def text_item(lyrics: TimedText | None) -> Item:
    """text_L (int64) and text_time_s_L; without lyrics of length 0, which stands for an absent condition."""
    ids_L, time_s_L = lyrics.encode() if lyrics is not None else (np.zeros(0, np.int64), np.zeros(0, np.float32))
    return {"text": torch.from_numpy(ids_L), "text_time_s": torch.from_numpy(time_s_L)}


def semantic_item(codes_N: np.ndarray | None, start_s: float = 0.0) -> Item:
    """semantic_N and the time of its first code, relative to the decoder's first frame."""
    codes_N = np.zeros(0, np.int64) if codes_N is None else np.asarray(codes_N, np.int64)
    return {"semantic": torch.from_numpy(codes_N), "semantic_start_s": torch.tensor(start_s)}


def music_item(levels: Sequence[np.ndarray] | None, pattern: Pattern, num_rows: int, start_s: float = 0.0) -> Item:
    """music_RM: the accompaniment's bricks, the coarsest rows alone; `start_s` is the time of its first code."""
    if levels is None or len(levels[-1]) == 0:
        columns_RM = torch.zeros(num_rows, 0, dtype=torch.long)
    else:
        columns_RM = pattern.to_columns([torch.from_numpy(np.asarray(level, np.int64)) for level in levels])[:num_rows]
    return {"music": columns_RM, "music_start_s": torch.tensor(start_s)}


def singer_item(embedding_E: np.ndarray | None) -> Item:
    """singer_E, made a unit vector (an interpolated one may be shorter), and whether there is one."""
    if embedding_E is None:
        return {"singer": torch.zeros(SINGER_WIDTH), "has_singer": torch.tensor(False)}
    vector_E = torch.tensor(np.asarray(embedding_E), dtype=torch.float32)
    return {"singer": F.normalize(vector_E, dim=0), "has_singer": torch.tensor(True)}


def stack(items: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Items of any lengths -> one batch: tensors with a length are padded at their end with zeros to the longest (at
    least 1), and their lengths are added as `<name>_length`."""
    batch: dict[str, Tensor] = {}
    for name in items[0]:
        values = [item[name] for item in items]
        if values[0].ndim == 0 or name == "singer":
            batch[name] = torch.stack(values)
            continue
        lengths = [value.shape[-1] for value in values]
        longest = max(1, *lengths)
        batch[name] = torch.stack([F.pad(v, (0, longest - n)) for v, n in zip(values, lengths, strict=True)])
        batch[f"{name}_length"] = torch.tensor(lengths)
    return batch


def music_window(
    levels: Sequence[np.ndarray] | None, spec: CodecSpec, start_s: float, end_s: float
) -> tuple[list[np.ndarray] | None, float]:
    """The whole blocks that cover a window, as far as they exist, and the time at which the first begins in it."""
    if levels is None:
        return None, 0.0
    block_s = spec.block_samples / spec.sample_rate_hz
    first = math.floor(start_s / block_s + 1e-6)
    return crop_blocks(levels, spec, first, math.ceil(end_s / block_s - 1e-6) - first), first * block_s - start_s


def crop_blocks(levels: Sequence[np.ndarray], spec: CodecSpec, first: int, count: int) -> list[np.ndarray]:
    """Blocks first .. first + count of each level, as far as they exist."""
    per_block = [spec.block_frames // stride for stride in spec.strides]
    return [level[first * n : (first + count) * n] for level, n in zip(levels, per_block, strict=True)]
