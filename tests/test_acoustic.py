"""The acoustic stage: whole blocks of codes of each stem, at any rate, the same for a clip whatever came before."""

import numpy as np
import pytest
import torch

from autosing.audio.io import Audio, encode
from autosing.codecs import codec_digest, load_codec
from autosing.errors import InputError
from autosing.schemas.tables import Clip, Pitch
from autosing.storage.tables import TableWriter
from processing.engine.rows import joined
from processing.stages.acoustic import AcousticConfig, Stems, TokenizeAcoustic


def sung(seconds: float, rate: int, channels: int = 1, f0_hz: float = 200.0) -> bytes:
    t_S = np.arange(round(seconds * rate)) / rate
    tone_S = sum(np.sin(2 * np.pi * f0_hz * k * t_S) / k for k in range(1, 9)) * 0.1
    return encode(Audio(np.tile(tone_S, (channels, 1)).astype(np.float32), rate))


RATES = ((8_000, 48_000), (22_050, 44_100), (44_100, 24_000))


@pytest.fixture(scope="module")
def stage() -> TokenizeAcoustic:
    made = TokenizeAcoustic(AcousticConfig())
    made.setup()
    return made


def test_codes_cover_the_clip_in_whole_blocks(stage):
    spec = load_codec(stage.config.codec).spec
    row = Stems("a", sung(1.3, 44_100, 2), sung(1.3, 44_100, 2, 90.0))
    codes = stage.apply(row)
    blocks = spec.num_blocks(round(1.3 * spec.sample_rate_hz))
    assert [len(level) for level in spec.unflatten(codes.vocals)] == [
        blocks * spec.block_frames // stride for stride in spec.strides
    ]
    assert len(codes.instrumental) == len(codes.vocals) and codes.codec == spec.name
    for level, size in zip(spec.unflatten(codes.vocals), spec.codebook_sizes, strict=True):
        assert level.dtype == np.int32 and level.min() >= 0 and level.max() < size
    np.testing.assert_array_equal(stage.apply(row).vocals, codes.vocals)


def test_stems_of_any_rates_give_codes_of_the_same_time(stage):
    """AutoSing's default collate wanted equal lengths, so mixed rates ended the step."""
    codes = [stage.apply(Stems("a", sung(0.8, vocals), sung(0.8, music, 2))) for vocals, music in RATES]
    assert {len(c.vocals) for c in codes} == {len(c.instrumental) for c in codes} == {len(codes[0].vocals)}


def test_an_a_cappella_clip_has_no_codes_of_music(stage):
    assert stage.apply(Stems("a", sung(0.5, 24_000), None)).instrumental is None


def told_hz(stage, codes):
    """The f0 that a clip's codes tell of, one a code of its level."""
    codec = load_codec(stage.config.codec)
    levels = codec.spec.unflatten(codes)
    return codec.model.f0_hz(torch.from_numpy(levels[codec.model.config.f0_level])).numpy()


def test_codes_tell_the_pitch_of_the_table_at_the_middles_of_the_codecs_frames(stage):
    """A glide of an octave a second: what lies 10 ms apart in the table is 12 cents apart."""
    times_s = np.arange(200) / 100
    table_hz = np.where(times_s < 1.5, 300 * 2**times_s, 0).astype(np.float32)
    found_hz = told_hz(stage, stage.apply(Stems("a", sung(2.0, 24_000), None, table_hz)).vocals)
    spec, config = load_codec(stage.config.codec).spec, load_codec(stage.config.codec).model.config
    stride_s = config.strides[config.f0_level] / float(spec.frame_rate_hz)
    middle_s = (np.arange(len(found_hz)) + 0.5) * stride_s
    sung_N, silent_N = middle_s < 1.5 - stride_s, middle_s > 1.5 + stride_s
    cents = 1200 * np.log2(found_hz[sung_N] / (300 * 2 ** middle_s[sung_N]))
    assert np.abs(cents).max() <= config.f0_step_cents / 2 + 1
    assert sung_N.sum() > 50 and silent_N.sum() > 10 and (found_hz[silent_N] == 0).all()


def test_a_voice_that_the_table_lacks_is_tracked(stage):
    found_hz = told_hz(stage, stage.apply(Stems("a", sung(1.0, 24_000), None)).vocals)
    assert (1200 * np.abs(np.log2(found_hz[5:-5] / 200)) < 25).mean() > 0.9


def test_the_stage_takes_each_clips_pitch_and_none_of_those_that_the_pitch_stage_rejected(tmp_path):
    rows = [Clip(f"s-{k}", "s", None, "en", None, k, 1.0, 1.0, b"voice", None, [], []) for k in range(3)]
    with TableWriter(tmp_path / "segment.parquet", Clip) as writer:
        for row in rows:
            writer.add(row)
        writer.commit("segment", 1, 3, {})
    with TableWriter(tmp_path / "pitch.parquet", Pitch) as writer:
        for k in (0, 2):
            writer.add(Pitch(f"s-{k}", np.full(4, 200 + k, np.float32), 1.0))
        writer.commit("pitch", 1, 2, {})
    paths = [tmp_path / f"{name}.parquet" for name in TokenizeAcoustic.reads]
    found = [row for _, row in joined(paths, Stems, TokenizeAcoustic.sparse)]
    assert [None if row.f0_hz is None else row.f0_hz.tolist() for row in found] == [[200.0] * 4, None, [202.0] * 4]
    with pytest.raises(InputError, match=r"pitch\.parquet: no row s-1 where it should stand"):
        list(joined(paths, Stems))


def test_the_fingerprint_holds_the_codec():
    assert TokenizeAcoustic(AcousticConfig()).weights() == {"autosing-24khz": codec_digest("autosing-24khz")}
    with pytest.raises(InputError):
        TokenizeAcoustic(AcousticConfig(codec="no-such-codec")).weights()
