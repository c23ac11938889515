"""Audio bytes: what is written is read back; what cannot be read is named."""

import numpy as np
import pytest

from autosing.audio.io import Audio, decode, encode, resample, save
from autosing.errors import InputError


def tone(seconds: float, rate: int = 44100, channels: int = 2, hz: float = 440) -> Audio:
    t = np.arange(round(seconds * rate)) / rate
    return Audio(np.tile(0.5 * np.sin(2 * np.pi * hz * t).astype(np.float32), (channels, 1)), rate)


@pytest.mark.parametrize("format", ["wav", "flac"])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_formats_round_trip_to_16_bits(format, channels):
    audio = tone(0.7, channels=channels)
    back = decode(encode(audio, format))
    assert back.sample_rate_hz == 44100 and back.samples_CS.shape == audio.samples_CS.shape
    np.testing.assert_allclose(back.samples_CS, audio.samples_CS, atol=2**-15)


@pytest.mark.parametrize("format", ["ogg", "opus", "mp3"])
def test_lossy_formats_keep_length_and_pitch(format):
    back = decode(encode(tone(1.0), format)).resampled(44100)
    assert abs(back.duration_s - 1.0) < 0.06
    spectrum = np.abs(np.fft.rfft(back.mono_S()[4410:37485]))
    assert abs(np.argmax(spectrum) * 44100 / 33075 - 440) < 2


def test_three_million_frames_of_vorbis_do_not_crash():
    assert decode(encode(Audio(np.zeros((1, 3_000_000), np.float32), 44100), "ogg")).samples_CS.shape[1] == 3_000_000


def test_resampling_keeps_the_wave_and_rounds_the_length():
    low = resample(tone(1.0, channels=1, hz=100).samples_CS, 44100, 16000)
    assert low.shape == (1, 16000)
    t = np.arange(16000) / 16000
    np.testing.assert_allclose(low[0, 200:-200], 0.5 * np.sin(2 * np.pi * 100 * t)[200:-200], atol=1e-3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"these are only words", "not readable as audio"),
        (b"", "not readable as audio"),
        (encode(Audio(np.zeros((1, 0), np.float32), 8000), "wav"), "holds no samples"),
    ],
)
def test_bytes_that_are_no_song_are_refused_by_name(data, words):
    with pytest.raises(InputError, match=f"song 7: .*{words}"):
        decode(data, "song 7")


def test_non_finite_samples_are_refused(tmp_path):
    import soundfile as sf

    path = tmp_path / "nan.wav"
    sf.write(path, np.array([0.0, np.nan]), 8000, subtype="FLOAT")
    with pytest.raises(InputError, match="NaN or infinite"):
        decode(path)


def test_a_file_is_saved_whole_or_not_at_all(tmp_path):
    save(tone(0.1), tmp_path / "a" / "x.wav")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.wav"]
    with pytest.raises(InputError, match="unknown; need one of"):
        save(tone(0.1), tmp_path / "a" / "x.xyz")
