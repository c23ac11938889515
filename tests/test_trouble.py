"""Songs with troubles: what is planted in the singing sounds so, and the truth says which line of the file is sung."""

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.songs import load_stems, load_truth, make_songs
from autosing.songs.settings import SongsConfig
from autosing.songs.trouble import TROUBLES, SungLine, planted, troubled_parts, written
from autosing.songs.truth import SongTruth
from autosing.storage.tables import read_rows, table_path

SOUNDING = ("breaks", "adlibs", "refrains")


def _make(out: Path, trouble: tuple[str, ...] = SOUNDING) -> Path:
    make_songs(
        out, 2, seed=3, languages=["en", "zh"], singers=2, partitions=1, lines=1, workers=1, trouble=trouble
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make(tmp_path_factory.mktemp("songs"))


@pytest.fixture(scope="module", params=["song0000", "song0001"])
def truth(request: pytest.FixtureRequest, corpus: Path) -> SongTruth:
    return load_truth(corpus, request.param)


def test_the_same_seed_gives_the_same_bytes(corpus, tmp_path):
    def digests(folder: Path) -> dict[str, str]:
        files = (p for p in sorted(folder.rglob("*")) if p.is_file())
        return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    assert digests(_make(tmp_path)) == digests(corpus)


def test_songs_without_trouble_are_those_that_were_made_before():
    assert "trouble" not in "".join(SongsConfig().details(0))
    assert SongsConfig(trouble=("breaks",)).details(0) != SongsConfig().details(0)


def test_the_band_plays_alone_in_the_breaks(truth, corpus):
    assert len(truth.breaks) == 2
    voice, band = (getattr(load_stems(corpus, truth.id), name) for name in ("vocals_dry", "instrumental"))
    for one in truth.breaks:
        assert one.end_s - one.start_s > 2
        start_s, length_s = one.start_s + 0.1, one.end_s - one.start_s - 0.8
        loud = [np.abs(stem.cut(start_s, length_s).samples_CS).max() for stem in (voice, band)]
        assert loud[0] < 0.01 < loud[1]
        if one.line is not None:
            words = [word for word in truth.words if word.line == one.line]
            assert any(a.end_s <= one.start_s + 1e-3 and one.end_s <= b.start_s + 1e-3 for a, b in pairwise(words))


def test_adlibs_and_refrains_are_sung_and_in_no_line_of_the_file(truth, corpus):
    voice = load_stems(corpus, truth.id).vocals_dry
    parts = [truth.parts[number] for number in truth.unwritten]
    assert parts.count("chorus") == 2 and parts.count("adlib") >= 1 and set(parts) == {"chorus", "adlib"}
    for number in truth.unwritten:
        for word in (word for word in truth.words if word.line == number):
            loud = voice.cut(word.start_s, word.end_s - word.start_s).samples_CS
            assert np.sqrt(np.square(loud).mean()) > 0.01
    refrains = [line.text for line, part in zip(truth.lines, truth.parts, strict=True) if part == "chorus"]
    assert len(refrains) == 3 and len(set(refrains)) == 1


def test_the_index_holds_the_lyrics_of_the_truth(truth, corpus):
    rows = {row.id: row for row in read_rows(table_path(corpus, 0, "index"), Song)}
    row = rows[truth.id]
    assert truth.troubles == SOUNDING
    assert row.raw_lyrics.splitlines() == [line.text for line in truth.lyrics]
    assert all(truth.lines[line.line].text == line.text for line in truth.lyrics)
    assert [line.split("]")[1] for line in row.lrc_lyrics.splitlines()] == row.raw_lyrics.splitlines()


PARTS = troubled_parts(2, ["refrains"])
SUNG = [SungLine(f"sung {k}", 10.0 + 4 * k, k, k // 2) for k in range(10)]


def _written(*troubles: str):
    again = planted(PARTS, troubles, 1, 0).again
    return written(SUNG, PARTS, again, troubles, "en", np.random.default_rng(0))


def test_what_each_trouble_leaves_of_the_lyrics():
    plain = _written()
    assert [line.line for line in plain] == list(range(10)) and [line.start_s for line in plain][:2] == [10.0, 14.0]
    assert [line.line for line in _written("refrains")] == [0, 1, 2, 3, 4, 5]
    assert [line.line for line in _written("missing")] == [0, 1, 2, 3, 6, 7, 8, 9]
    other = _written("verse")
    changed = [k for k, line in enumerate(other) if line.line is None]
    assert changed in ([0, 1], [4, 5]) and [line.start_s for line in other] == [line.start_s for line in plain]
    assert all(other[k].text != plain[k].text for k in changed)
    longer = _written("longer")
    added = [k for k, line in enumerate(longer) if line.line is None]
    assert len(longer) == 12 and len(added) == 2
    assert [line.line for line in longer if line.line is not None] == list(range(10))
    assert all(line.start_s == 18.0 + 4 * line.line for line in longer[added[1] + 1 :])
    wrong = _written("wrong")
    assert len(wrong) == 10 and all(line.line is None for line in wrong)
    assert all(a.start_s < b.start_s for lines in (longer, wrong) for a, b in pairwise(lines))


def test_what_is_planted_is_a_function_of_seed_and_number():
    assert planted(PARTS, TROUBLES, 1, 0) == planted(PARTS, TROUBLES, 1, 0)
    assert len({str(planted(PARTS, TROUBLES, 1, index)) for index in range(8)}) == 8
    assert planted(PARTS, ["missing"], 1, 0) == planted(PARTS, (), 1, 0)


def test_troubles_that_there_are_not_are_refused_in_words(tmp_path):
    with pytest.raises(InputError, match=r"trouble 'brakes': unknown; need some of breaks, adlibs"):
        make_songs(tmp_path / "out", 1, trouble=["brakes"])
    with pytest.raises(InputError, match=r"trouble breaks: voices 'natural' given; need --voices synthetic"):
        make_songs(tmp_path / "out", 1, trouble=["breaks"], voices="natural")
    assert not (tmp_path / "out").exists()
