"""Token patterns: nothing is lost, coarse comes before fine, and SNAC's strides give AutoSing's grids."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.codecs.delay import FREE, Pattern, multiscale
from autosing.codecs.spec import CodecSpec
from autosing.errors import InputError

SNAC = CodecSpec(name="s", sample_rate_hz=32000, hop_samples=384, strides=(8, 4, 2, 1), codebook_sizes=(4096,) * 4)


def spec_of(factors: list[int], sizes: list[int]) -> CodecSpec:
    strides = (*(int(np.prod(factors[i:])) for i in range(len(factors))), 1)
    return CodecSpec(
        name="any", sample_rate_hz=24000, hop_samples=256, strides=strides, codebook_sizes=tuple(sizes[: len(strides)])
    )


def codes_of(spec: CodecSpec, num_blocks: int, seed: int = 0, batch: tuple[int, ...] = ()) -> list[torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    frames = num_blocks * spec.block_frames
    return [
        torch.randint(size, (*batch, frames // stride), generator=source)
        for stride, size in zip(spec.strides, spec.codebook_sizes, strict=True)
    ]


@st.composite
def patterns(draw):
    spec = spec_of(
        draw(st.lists(st.integers(1, 3), max_size=4)), draw(st.lists(st.integers(2, 50), min_size=5, max_size=5))
    )
    name = draw(st.sampled_from(["bricks", "bricks_unrolled", "delay"]))
    return spec, Pattern.of(spec, name, draw(st.sampled_from([None, *spec.strides])))


@settings(max_examples=80, deadline=None)
@given(patterns(), st.integers(0, 4), st.integers(0, 99))
def test_every_code_goes_into_the_columns_and_comes_back(made, num_blocks, seed):
    spec, pattern = made
    codes = codes_of(spec, num_blocks, seed, batch=(2,))
    columns_BRC = pattern.to_columns(codes)
    frames = num_blocks * spec.block_frames
    assert columns_BRC.shape == (2, pattern.num_rows, pattern.num_columns(frames))
    for before, after in zip(codes, pattern.to_levels(columns_BRC), strict=True):
        assert torch.equal(before, after)
    template_RC = pattern.to_columns([torch.full_like(level[0], FREE) for level in codes])
    free_RC = template_RC == FREE
    assert free_RC.sum() == sum(level.shape[-1] for level in codes)
    assert torch.equal(columns_BRC[0][~free_RC], template_RC[~free_RC])
    assert (columns_BRC[:, free_RC] < pattern.mask).all()
    assert (columns_BRC[:, :, 0] == pattern.pad).any(dim=1).all(), "the first column holds no code: it is the start"
    assert not free_RC[:, 0].any()


@settings(max_examples=80, deadline=None)
@given(patterns(), st.integers(1, 4))
def test_finer_codes_never_come_before_coarser_ones_of_the_same_frames(made, num_blocks):
    spec, pattern = made
    frames = num_blocks * spec.block_frames
    where = pattern.to_levels(torch.arange(pattern.num_columns(frames)).expand(pattern.num_rows, -1))
    for i, (coarse, fine) in enumerate(pairwise(where)):
        repeat = spec.strides[i] // spec.strides[i + 1]
        assert (coarse.repeat_interleave(repeat) < fine).all()
    for column_N in where:
        assert (column_N.diff() >= 0).all(), "time runs forward within a level"


def test_snac_strides_give_the_grids_of_autosing():
    codes = codes_of(SNAC, 2496 // 8)
    bricks, unrolled = Pattern.of(SNAC, "bricks"), Pattern.of(SNAC, "bricks_unrolled")
    columns_RC, fine_RC = bricks.to_columns(codes), unrolled.to_columns(codes)
    assert columns_RC.shape == (8, 632) and fine_RC.shape == (8, 2528)
    assert (bricks.mask, bricks.pad) == (4096, 4097)
    assert columns_RC[0, :4].tolist() == [4097, codes[0][0], 4096, codes[0][1]], "level 0 lives in every other block"
    assert columns_RC[2:4, 3].tolist() == codes[2][:2].tolist()
    assert columns_RC[4:, 4].tolist() == codes[3][:4].tolist()
    live = [(fine_RC[:, 16 + step] < 4096).nonzero()[:, 0].tolist() for step in range(4)]
    assert live == [[1, 2, 4], [5], [3, 6], [7]], "block 4 lacks level 0: delayed by one, its turn is the odd columns"
    assert fine_RC[:, 20:24].lt(4096).sum(0).tolist() == [4, 1, 2, 1]
    assert bricks.positions(3).tolist() == [0, 4, 8] and unrolled.positions(3, 8).tolist() == [8, 9, 10]


def test_as_many_frames_come_out_as_were_asked_for():
    for name in ("bricks", "bricks_unrolled", "delay"):
        pattern = Pattern.of(SNAC, name)
        assert pattern.num_frames(pattern.num_columns(1248)) == 1248, "AutoSing gave 1216 frames for 1248"
        assert pattern.num_frames(pattern.num_columns(1241)) == 1248


def test_a_multiscale_crop_holds_the_clip_or_a_true_part_of_it():
    coarse, fine = Pattern.of(SNAC, "bricks"), Pattern.of(SNAC, "bricks_unrolled")
    codes = codes_of(SNAC, 40)
    whole_RC = fine.to_columns(codes)
    seen = set()
    for seed in range(20):
        columns_RC, positions_C = multiscale(coarse, fine, codes, np.random.default_rng(seed))
        assert columns_RC.shape == (8, coarse.num_columns(320))
        if positions_C[1] - positions_C[0] == 1:
            assert positions_C[0] % 8 == 0 and torch.equal(columns_RC, whole_RC[:, positions_C])
        else:
            assert torch.equal(columns_RC, coarse.to_columns(codes))
        seen.add(int(positions_C[1] - positions_C[0]))
    assert seen == {1, 4}


def test_what_does_not_fit_is_refused():
    pattern = Pattern.of(SNAC, "bricks")
    with pytest.raises(InputError, match="need one of"):
        Pattern.of(SNAC, "brick")
    with pytest.raises(InputError, match="need one of the strides"):
        Pattern.of(SNAC, "bricks", 3)
    with pytest.raises(ValueError, match="need whole blocks"):
        pattern.num_frames(13)
    with pytest.raises(ValueError, match="need whole blocks"):
        pattern.to_columns([level[:-1] for level in codes_of(SNAC, 2)])
