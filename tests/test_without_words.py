"""Clips without lyrics: `segment` does without `align`, and is made again when that comes."""

from pathlib import Path

import numpy as np
import pytest

from autosing.audio.io import Audio, encode
from autosing.errors import InputError
from autosing.schemas.tables import Clip, LyricLine, Lyrics, Song, Word
from autosing.stage import Stage
from autosing.storage.tables import TableWriter, read_meta, read_rows, table_path
from processing.engine.runner import run
from processing.engine.schedule import Schedule
from processing.pipeline import PipelineConfig, build_stages, details_of
from processing.plan import measure

RATE = 16_000
CONFIG = PipelineConfig(separate={"separator": "none"}, segment={"min_s": 2})


def stages(*names: str) -> list[Stage]:
    return build_stages(CONFIG, names)


def corpus(root: Path, **columns: str) -> Path:
    """Two songs of 12 s, each with a note from 1 to 5 and from 6 to 11 s."""
    t_S = np.arange(12 * RATE) / RATE
    note_S = sum(np.sin(2 * np.pi * 220 * k * t_S) / k for k in range(1, 6)) * 0.1
    sung_S = ((t_S > 1) & (t_S < 5)) | ((t_S > 6) & (t_S < 11))
    (root / "0").mkdir(parents=True)
    with TableWriter(table_path(root, 0, "index"), Song) as writer:
        for song in ("a", "b"):
            audio = encode(Audio((note_S * sung_S)[None].astype(np.float32), RATE))
            writer.add(Song(song, audio, **columns))
        writer.commit("index", 1, 2, {})
    return root


def aligned(root: Path, word: str) -> None:
    """What `align` might have said."""
    with TableWriter(table_path(root, 0, "align"), Lyrics) as writer:
        for song in ("a", "b"):
            found = [Word(word, 1.0, 5.0, 1.0, 0), Word(word, 6.0, 11.0, 1.0, 0)]
            writer.add(
                Lyrics(song, "plain", "en", [LyricLine(f"{word} {word}", 1.0, 11.0, 1.0, True)], found, None, None)
            )
        writer.commit("align", 5, 2, {"word": word})


def clips(root: Path) -> list[Clip]:
    return list(read_rows(table_path(root, 0, "segment"), Clip))


def test_songs_are_cut_by_their_singing_where_nothing_is_aligned(tmp_path):
    root = corpus(tmp_path / "c")
    chosen = stages("separate", "segment")
    assert not run(root, chosen, CONFIG, "inline").failures
    assert {clip.song for clip in clips(root)} == {"a", "b"}
    assert all((clip.lines, clip.words, clip.language) == ([], [], "und") for clip in clips(root))
    assert sum(clip.duration_s * clip.singing_fraction for clip in clips(root)) == pytest.approx(18, abs=0.8)
    meta = read_meta(table_path(root, 0, "segment"))
    assert meta is not None and set(meta.details["inputs"]) == {"separate", "index"}
    assert not Schedule(root, chosen).jobs, "a second run keeps it"
    assert measure(root, stages("segment"), CONFIG, 1, "inline").stages[0].rows_out == len(clips(root))


def test_the_language_that_a_song_brings_is_kept(tmp_path):
    root = corpus(tmp_path / "c", language="ko")
    run(root, stages("separate", "segment"), CONFIG, "inline")
    assert {clip.language for clip in clips(root)} == {"ko"}


def test_words_that_come_later_are_why_clips_are_cut_again(tmp_path):
    root = corpus(tmp_path / "c")
    chosen = stages("separate", "segment")
    run(root, chosen, CONFIG, "inline")
    aligned(root, "la")
    assert [(job.stage, job.why) for job in Schedule(root, chosen).jobs] == [("segment", "input align changed")]
    run(root, chosen, CONFIG, "inline")
    assert {word.text for clip in clips(root) for word in clip.words} == {"la"}
    assert {clip.language for clip in clips(root)} == {"en"}


def test_with_align_among_the_stages_nothing_is_other_than_it_was(tmp_path):
    """Its fingerprint is of all three tables, and it waits for all of them."""
    root = corpus(tmp_path / "c")
    schedule = Schedule(root, stages("separate", "align", "segment"))
    order = []
    while job := schedule.next(loaded=()):
        order.append(job.stage)
        assert schedule.next(loaded=()) is None, "each waits for the one before"
        schedule.done(job)
    assert order == ["separate", "align", "segment"]
    (segment,) = stages("segment")
    inputs = {"align": "1", "separate": "2", "index": "3"}
    assert details_of(segment, inputs)["inputs"] == inputs
    lost = Schedule(root, stages("separate", "align", "segment"))
    first = lost.next(loaded=())
    assert first is not None
    lost.done(first)
    align = lost.next(loaded=())
    assert align is not None and [job.stage for job in lost.failed(align)] == ["segment"], "not cut without its words"


def test_what_is_not_optional_must_be_there(tmp_path):
    with pytest.raises(InputError, match=r"stage segment reads separate\.parquet, which is not there"):
        Schedule(corpus(tmp_path / "c"), stages("segment"))
