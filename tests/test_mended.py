"""Files whose containers are not as libsndfile wants them: all samples are read, as of the plain file."""

import numpy as np
import pytest

from autosing.audio.containers import Mend, mend
from autosing.audio.io import decode, inspect
from support.hostile import MEDIA, id3, song

MADE = {case.file: case.make for case in MEDIA}


@pytest.mark.parametrize(
    ("file", "plain"),
    [
        ("never closed.wav", song("never closed")),
        ("recorder died.wav", song("recorder died")),
        ("old tag behind.flac", song("id3v1", "flac")),
        ("tags behind.flac", song("ape", "flac")),
    ],
)
def test_a_mended_file_sounds_like_the_whole_one(file, plain):
    data = MADE[file]()
    np.testing.assert_array_equal(decode(data).samples_CS, decode(plain).samples_CS)
    found = inspect(data)
    assert found.num_samples == found.promised_samples == 8000


@pytest.mark.parametrize(
    "data",
    [song("a"), song("a", samples=0), song("a", samples=0) + b"LIST\4\0\0\0abcd", song("a", "ogg"), b"RIFF", b""],
    ids=["wav", "empty", "empty with notes", "ogg", "cut", "nothing"],
)
def test_what_is_as_it_should_be_is_left_alone(data):
    whole = data if not data.endswith(b"abcd") else data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]
    assert mend(whole) == Mend()


def test_a_flac_without_tags_behind_it_is_read_to_its_end():
    for data in (song("a", "flac"), id3(99) + song("a", "flac")):
        assert mend(data) == Mend(end=len(data))
