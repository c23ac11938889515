"""Made songs: what is written down as true is what sounds."""

import hashlib
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from autosing.audio.io import decode, resample
from autosing.errors import InputError
from autosing.schemas.tables import Song
from autosing.songs import SINGERS, load_stems, load_truth, make_songs, tiny_song
from autosing.songs.analysis import is_nucleus
from autosing.songs.lyrics import LANGUAGES, lyric_line, split_words
from autosing.storage.tables import partitions, read_meta, read_rows, table_path
from autosing.text.normalize import join_words


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("songs")
    make_songs(out, 3, seed=5, languages=LANGUAGES, singers=3, partitions=2, lines=1, workers=1)
    return out


@pytest.fixture(scope="module", params=LANGUAGES)
def song(request: pytest.FixtureRequest):
    return tiny_song(seed=LANGUAGES.index(request.param), seconds=6, language=request.param)


def digests(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_mix_is_the_sum_of_its_stems_to_the_bit(corpus):
    for partition in partitions(corpus):
        for row in read_rows(table_path(corpus, partition, "index"), Song):
            mix, stems = decode(row.audio), load_stems(corpus, row.id)
            pcm = [np.round(x.samples_CS * 32768) for x in (mix, stems.vocals, stems.instrumental)]
            np.testing.assert_array_equal(pcm[0], pcm[1] + pcm[2])
            assert mix.duration_s == load_truth(corpus, row.id).duration_s
            assert row.licence == "CC0-1.0"


def test_a_vowel_starts_with_its_note_and_everything_lies_in_order(song):
    _, truth, _ = song
    assert len(truth.notes) == len(truth.syllables) > 3
    for note in truth.notes:
        syllable = truth.syllables[note.syllable]
        vowel = truth.phones[syllable.nucleus]
        assert vowel.start_s == note.start_s and vowel.word == syllable.word and is_nucleus(vowel.phone)
        assert syllable.start_s <= note.start_s < syllable.end_s <= note.end_s + 1e-3
    for items in (truth.phones, truth.syllables, truth.words, truth.lines, truth.notes):
        assert all(item.start_s < item.end_s for item in items)
        assert all(a.end_s <= b.start_s + 1e-4 for a, b in pairwise(items))
    for word in truth.words:
        assert truth.lines[word.line].start_s <= word.start_s and word.end_s <= truth.lines[word.line].end_s
    for line_number, line in enumerate(truth.lines):
        words = [word.text for word in truth.words if word.line == line_number]
        assert join_words(words) == line.text


def test_the_voice_sounds_where_and_only_where_there_are_words(song):
    mix, truth, stems = song
    assert mix.samples_CS.shape == (2, 6 * 44100) and np.abs(mix.samples_CS).max() <= 0.96
    time_s = np.arange(mix.samples_CS.shape[1]) / 44100
    sung = np.zeros(len(time_s), bool)
    for word in truth.words:
        sung |= (time_s > word.start_s - 0.03) & (time_s < word.end_s + 0.06)
        loud = stems.vocals_dry.cut(word.start_s, word.end_s - word.start_s).samples_CS
        assert np.sqrt(np.square(loud).mean()) > 0.01, word
    silence = stems.vocals_dry.samples_CS[0, ~sung]
    assert np.sqrt(np.square(silence).mean()) < 1e-3


def test_f0_is_what_an_independent_tracker_hears(song):
    from swift_f0 import SwiftF0

    _, truth, stems = song
    audio_S = resample(stems.vocals_dry.mono_S(), 44100, 16000)
    heard = SwiftF0(threads=1).detect(audio_S, 16000)
    frame = np.minimum(np.round(np.asarray(heard.timestamps) * 200).astype(int), len(truth.f0_hz) - 1)
    true_hz, heard_hz = truth.f0_hz[frame], np.asarray(heard.pitch_hz)
    sung = true_hz > 0
    cents = np.abs(1200 * np.log2(heard_hz[sung] / true_hz[sung]))
    assert sung.mean() > 0.2 and (cents < 50).mean() >= 0.93


def test_the_lines_are_there_spoken(corpus):
    for number in range(3):
        truth = load_truth(corpus, f"song{number:04d}")
        speech = decode(corpus / "truth" / truth.id / "speech.flac")
        for line_number, line in enumerate(truth.lines):
            spoken = [word for word in truth.spoken_words if word.line == line_number]
            assert join_words([word.text for word in spoken]) == line.text
            assert all(0 <= w.start_s < w.end_s <= speech.duration_s for w in spoken)
        assert all(
            np.abs(speech.cut(w.start_s, w.end_s - w.start_s).samples_CS).max() > 0.01 for w in truth.spoken_words
        )


def test_the_same_seed_gives_the_same_bytes_with_any_workers_and_another_seed_others(corpus, tmp_path):
    make_songs(tmp_path / "two", 3, seed=5, languages=LANGUAGES, singers=3, partitions=2, lines=1, workers=2)
    assert digests(tmp_path / "two") == digests(corpus)
    mixes = [tiny_song(seed)[0].samples_CS.tobytes() for seed in (8, 16, 8)]  # the same singer
    assert mixes[0] == mixes[2] != mixes[1]


def test_a_second_run_keeps_what_is_done_and_makes_what_is_missing(corpus, tmp_path):
    arguments = {"languages": ["en"], "singers": 2, "partitions": 2, "lines": 1, "workers": 1}
    assert [p.kept for p in make_songs(tmp_path, 2, 5, **arguments).partitions] == [False, False]
    before = digests(tmp_path)
    index = table_path(tmp_path, 1, "index")  # as if killed before the second partition was committed
    half, left = (tmp_path / k / ".index.parquet.0123abcd.part" for k in "10")
    half.mkdir()
    index.rename(half / "index.parquet")
    left.mkdir()  # as if killed when the first was committed, and not yet cleaned up after
    (tmp_path / "truth" / "song0001").rename(tmp_path / "truth" / ".song0001.0123abcd.part")
    assert [p.kept for p in make_songs(tmp_path, 2, 5, **arguments).partitions] == [True, False]
    assert digests(tmp_path) == before and not left.exists()
    made = make_songs(tmp_path, 1, 5, **arguments)  # a smaller corpus: what is beyond it goes
    assert [p.kept for p in made.partitions] == [True] and partitions(tmp_path) == [0]
    assert [p.name for p in (tmp_path / "truth").iterdir()] == ["song0000"]
    meta = read_meta(table_path(tmp_path, 0, "index"))
    assert meta is not None and meta.rows == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_lyrics_are_varied_and_split_and_join(language):
    rng = np.random.default_rng(0)
    lines = {lyric_line(language, rng) for _ in range(300)}
    assert len(lines) > 270
    assert all(join_words(split_words(line, language)) == line for line in lines)
    assert not any(c in line for line in lines for c in "{}:,")


def test_bad_arguments_are_refused_in_words(tmp_path, monkeypatch):
    for wrong, words in (
        ({"languages": ["xx"]}, "language 'xx'.*en, ko, zh"),
        ({"singers": 99}, f"singers 99.*1 to {len(SINGERS)}"),
        ({"audio_format": "aiff"}, "audio format 'aiff'.*flac"),
        ({"count": 0}, "count"),
    ):
        with pytest.raises(InputError, match=words):
            make_songs(tmp_path / "out", **wrong)
    with pytest.raises(InputError, match=r"no truth at .*autosing songs"):
        load_truth(tmp_path, "song0000")
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(InputError, match=r"pyworld-prebuilt not installed.*autosing\[songs\]"):
        make_songs(tmp_path / "out")
    with pytest.raises(InputError, match=r"pyworld-prebuilt not installed.*autosing\[songs\]"):
        tiny_song()
    assert not (tmp_path / "out").exists()


def test_a_corpus_of_other_origin_is_left_alone(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "0").mkdir()
    pq.write_table(pa.table({"id": ["a"], "audio": [b""]}), tmp_path / "0" / "index.parquet")
    with pytest.raises(InputError, match="did not make; give another folder"):
        make_songs(tmp_path, 1)
    assert (tmp_path / "0" / "index.parquet").is_file()
