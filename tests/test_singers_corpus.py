"""Made songs become folders of singers, as voices for conversion are kept."""

import pytest

from autosing.errors import InputError
from autosing.songs import load_truth, make_songs
from train.corpora.singers import write_singers


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    make_songs(out, 3, seed=5, languages=["en"], singers=2, partitions=1, workers=1, lines=1)
    return out


def test_each_singer_has_a_folder_of_what_they_sang_and_spoke_dry(songs, tmp_path):
    written = write_singers(songs, tmp_path / "singers")
    artists = [load_truth(songs, f"song{n:04d}").artist for n in range(3)]
    assert written == {artists[0]: 4, artists[1]: 2} and artists[0] == artists[2]
    for number, artist in enumerate(artists):
        truth, folder = songs / "truth" / f"song{number:04d}", tmp_path / "singers" / artist
        assert (folder / f"song{number:04d}.flac").read_bytes() == (truth / "vocals_dry.flac").read_bytes()
        assert (folder / f"song{number:04d}-speech.flac").read_bytes() == (truth / "speech.flac").read_bytes()
    assert write_singers(songs, tmp_path / "singers") == written, "a second run writes the same"


def test_a_singer_left_out_has_no_folder_and_an_unknown_one_is_an_error(songs, tmp_path):
    artist = load_truth(songs, "song0000").artist
    write_singers(songs, tmp_path, [artist])
    assert not (tmp_path / artist).exists() and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(InputError, match="'Nobody': not among the singers"):
        write_singers(songs, tmp_path, ["Nobody"])
    with pytest.raises(InputError, match="make them with 'autosing songs'"):
        write_singers(tmp_path, tmp_path / "out")
