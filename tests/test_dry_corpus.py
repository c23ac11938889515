"""Made songs become a corpus of dry voices whose scores are found by id, and that a dataset with scores."""

import pytest

from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.score.made import score_of_truth
from autosing.score.score import Score
from autosing.songs import load_truth, make_songs
from autosing.storage import tables
from train.corpora.dry import write_dry


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    make_songs(out, 3, seed=5, languages=["en"], singers=2, partitions=1, workers=1, lines=1)
    return out


def test_each_song_keeps_its_id_and_is_its_dry_voice(songs, tmp_path):
    assert write_dry(songs, tmp_path / "corpus") == 3
    path = tables.table_path(tmp_path / "corpus", 0, "index")
    rows = list(tables.read_rows(path, Song))
    assert [row.id for row in rows] == ["song0000", "song0001", "song0002"]
    for row in rows:
        truth = load_truth(songs, row.id)
        assert row.artist == truth.artist and row.language == "en"
        assert Score.from_json(row.score) == score_of_truth(truth)
        assert bytes(row.audio) == (songs / "truth" / row.id / "vocals_dry.flac").read_bytes()
    before = path.read_bytes()
    write_dry(songs, tmp_path / "corpus")
    assert path.read_bytes() == before


def test_a_singer_may_be_left_out(songs, tmp_path):
    artist = load_truth(songs, "song0000").artist
    assert write_dry(songs, tmp_path / "corpus", [artist]) == 1
    with pytest.raises(InputError, match="'Nobody': not among the singers"):
        write_dry(songs, tmp_path / "corpus", ["Nobody"])
    with pytest.raises(InputError, match="make them with 'autosing songs'"):
        write_dry(tmp_path, tmp_path / "out")
