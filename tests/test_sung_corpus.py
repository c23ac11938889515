"""A model that sings scores makes a corpus: words where they sound, and stems that add up."""

import numpy as np
import pytest

from autosing.audio.io import decode
from autosing.errors import InputError
from autosing.models.bundled import VISINGER
from autosing.schemas.tables import Clip, Song
from autosing.storage import tables
from autosing.text.lrc import parse_lrc
from inference.sung_corpus import write_sung
from support.singing import make_runs


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    out = tmp_path_factory.mktemp("sung")
    assert write_sung(out, 3, VISINGER, seed=1, partitions=2, workers=1) == 3
    return out


def rows(corpus, name, record):
    return [row for k in (0, 1) for row in tables.read_rows(tables.table_path(corpus, k, name), record)]


def test_words_and_lines_lie_where_they_are_sung(corpus):
    for clip in rows(corpus, "segment", Clip):
        assert " ".join(word.text for word in clip.words) == " ".join(line.text for line in clip.lines)
        times_s = [time_s for word in clip.words for time_s in (word.start_s, word.end_s)]
        assert times_s == sorted(times_s) and times_s[0] > 0.1 and times_s[-1] < clip.duration_s
        voice = decode(clip.vocals, clip.id)
        level_S = np.abs(voice.mono_S())
        first, last = (round(s * voice.sample_rate_hz) for s in (times_s[0], times_s[-1]))
        loud = np.sqrt(np.square(level_S[first:last]).mean())
        assert loud > 10 * np.sqrt(np.square(level_S[: first // 2]).mean()), "nobody sings before the first word"
        assert len(level_S) == round(clip.duration_s * voice.sample_rate_hz)


def test_the_mix_is_the_sum_of_its_stems_and_its_lyrics_have_times(corpus):
    songs = rows(corpus, "index", Song)
    assert [song.id for song in songs] == ["sung00000", "sung00001", "sung00002"]
    assert len({song.artist for song in songs}) == 3, "singers sing in turn"
    for song, clip in zip(songs, rows(corpus, "segment", Clip), strict=True):
        parts = [decode(data, clip.id).mono_S() for data in (clip.vocals, clip.instrumental)]
        np.testing.assert_allclose(decode(song.audio, song.id).mono_S(), sum(parts), atol=1e-4)
        timed = [word for line in parse_lrc(song.lrc_lyrics).lines for word in line.words]
        assert [word.text.strip() for word in timed] == [word.text for word in clip.words]


def test_what_is_whole_is_kept_and_the_same_arguments_give_the_same_bytes(corpus, tmp_path):
    assert write_sung(corpus, 3, VISINGER, seed=1, partitions=2, workers=1) == 0
    assert write_sung(tmp_path, 3, VISINGER, seed=1, partitions=2, workers=1) == 3
    for name in ("0/index", "0/segment", "1/segment"):
        assert (tmp_path / f"{name}.parquet").read_bytes() == (corpus / f"{name}.parquet").read_bytes()
    (corpus / "1/segment.parquet").unlink()
    assert write_sung(corpus, 3, VISINGER, seed=1, partitions=2, workers=1) == 1


def test_a_model_that_sings_no_scores_is_refused(tmp_path):
    with pytest.raises(InputError, match="found a t2s model, need visinger"):
        write_sung(tmp_path / "out", 1, make_runs(tmp_path) / "t2s", seed=1)
    with pytest.raises(InputError, match="0 songs"):
        write_sung(tmp_path / "out", 0, VISINGER, seed=1)


def test_a_folder_with_more_partitions_is_refused_and_left_as_it_is(corpus):
    before = (corpus / "1/index.parquet").read_bytes()
    with pytest.raises(InputError, match="holds partition 1, which is none of these songs"):
        write_sung(corpus, 3, VISINGER, seed=1, partitions=1)
    assert (corpus / "1/index.parquet").read_bytes() == before
