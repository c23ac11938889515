"""The acoustic stage: whole blocks of codes of each stem, at any rate, the same for a clip whatever came before."""

import numpy as np
import pytest

from autosing.audio.io import Audio, encode
from autosing.codecs import codec_digest, load_codec
from autosing.errors import InputError
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


def test_the_fingerprint_holds_the_codec():
    assert TokenizeAcoustic(AcousticConfig()).weights() == {"autosing-24khz": codec_digest("autosing-24khz")}
    with pytest.raises(InputError):
        TokenizeAcoustic(AcousticConfig(codec="no-such-codec")).weights()
