"""Encoding is a function of the samples: the same bytes each time, and all of the samples back."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from autosing.audio.io import Audio, Writer, decode, encode
from autosing.audio.ogg import zero_serial


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "opus", "mp3"])
@pytest.mark.parametrize("num_samples", [10, 8_000, 300_017])
def test_equal_audio_is_encoded_to_equal_bytes_and_decodes_to_as_many_samples(
    format: str, num_samples: int, tmp_path: Path
) -> None:
    audio = Audio(np.random.default_rng(0).normal(0, 0.1, (2, num_samples)).astype(np.float32), 24_000)
    data = encode(audio, format)
    assert encode(audio, format) == data
    writer = Writer(24_000, 2, format, tmp_path / "file")
    writer.write(audio.samples_CS)
    assert writer.finish() == b"" and (tmp_path / "file").read_bytes() == data
    assert decode(data).samples_CS.shape == (2, num_samples)


def test_only_the_serial_number_of_an_ogg_stream_changes() -> None:
    samples_S = np.random.default_rng(1).normal(0, 0.1, 100_000).astype(np.float32)
    sink = io.BytesIO()
    sf.write(sink, samples_S, 22_050, format="OGG", subtype="VORBIS")
    after = io.BytesIO(sink.getvalue())
    zero_serial(after)
    assert sum(a != b for a, b in zip(after.getvalue(), sink.getvalue(), strict=True)) > 0
    for stream in (after, sink):
        stream.seek(0)
    np.testing.assert_array_equal(sf.read(after)[0], sf.read(sink)[0])
