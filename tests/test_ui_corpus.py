"""The page's corpus viewer: what lies in the tables is shown, words' times are moved and kept as LRC."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer

from autosing.audio.io import Audio, encode
from autosing.errors import InputError
from autosing.schemas.tables import Clip, Line, LyricLine, Lyrics, Pitch, Song, Word
from autosing.stage import Rejected
from autosing.storage.tables import TableWriter, rejects_path, table_path
from autosing.text.lrc import parse_lrc
from inference.ui.corpus import correct, drawn, listed
from inference.ui.jobs import Jobs
from inference.ui.server import Settings, application
from inference.ui.uploads import Limits


def write(corpus: Path, stage: str, record: type, rows: list) -> None:
    with TableWriter(table_path(corpus, 0, stage), record, rejects_path(corpus, 0, stage)) as table:
        for row in rows:
            table.add(row)
        table.commit(stage, 1, len(rows), {})


def tone(seconds: float) -> bytes:
    return encode(Audio(0.3 * np.sin(np.arange(round(seconds * 16000)) * 0.1)[None].astype(np.float32), 16000), "flac")


@pytest.fixture
def corpus(tmp_path) -> Path:
    """A song of two lines, a clip each, and one that nobody sings."""
    folder = tmp_path / "corpus"
    write(folder, "index", Song, [Song("a", tone(6)), Song("b", tone(2))])
    words = [Word("golden", 1.0, 1.4, 0.9, 0), Word("<river>", 1.5, 2.0, 0.9, 0), Word("golden", 3.6, 4.0, 0.9, 1)]
    lines = [LyricLine("golden <river>", 1.0, 2.0, 0.9, True), LyricLine("golden", 3.6, 4.0, 0.9, True)]
    write(folder, "align", Lyrics, [Lyrics("a", "plain", "en", lines, words, None, None)])
    clips: list = [Rejected("b", "no_singing", "0 s of singing, need 2 s")]
    for start_s, own in ((0.5, words[:2]), (3.0, words[2:])):
        moved = [Word(w.text, w.start_s - start_s, w.end_s - start_s, w.score, 0) for w in own]
        text = " ".join(w.text for w in own)
        held = [Line(text, moved[0].start_s, moved[-1].end_s, 0.9, True)]
        name = f"a-{round(start_s * 1000)}"
        clips.append(Clip(name, "a", "rosa", "en", None, start_s, 2.0, 0.9, tone(2), tone(2), held, moved))
    write(folder, "segment", Clip, clips)
    write(folder, "pitch", Pitch, [Pitch(c.id, np.full(200, 330, np.float32), 1.0) for c in clips[1:]])
    (folder / "_import.json").write_text(
        json.dumps({"left_out": [{"file": "d.mp3", "reason": "unreadable", "measurement": "text"}]})
    )
    return folder


def test_clips_and_rejects_are_those_of_the_tables(corpus):
    found = listed(corpus)
    assert [(clip["id"], clip["partition"], clip["singer"]) for clip in found["clips"]] == [
        ("a-500", 0, "rosa"), ("a-3000", 0, "rosa"),
    ]  # fmt: skip
    assert [(row["stage"], row["id"], row["reason"]) for row in found["rejects"]] == [
        ("import", "d.mp3", "unreadable"), ("segment", "b", "no_singing"),
    ]  # fmt: skip


def test_a_clip_has_three_players_and_its_words(corpus, tmp_path):
    found = drawn(corpus, 0, "a-500", tmp_path / "corrected")
    assert found["html"].count("<audio ") == 3 and "&lt;river&gt;" in found["html"] and "<river>" not in found["html"]
    assert [(word["text"], word["start_s"]) for word in found["words"]] == [
        ("golden", pytest.approx(0.5)), ("<river>", pytest.approx(1.0)),
    ]  # fmt: skip


def test_moved_words_are_kept_as_the_songs_lrc_and_the_corpus_stays(corpus, tmp_path):
    corrected = tmp_path / "corrected"
    before = {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    path = correct(corpus, 0, "a-500", corrected, [0.25, 1.1])
    correct(corpus, 0, "a-3000", corrected, [0.7])
    assert [path] == list(corrected.iterdir()) and path.name == "a.lrc"
    words = [(word.text, word.start_s) for line in parse_lrc(path.read_text()).lines for word in line.words]
    assert words == [("golden", 0.75), ("<river>", 1.6), ("golden", 3.7)]
    shown = drawn(corpus, 0, "a-500", corrected)["words"]
    assert [word["start_s"] for word in shown] == pytest.approx([0.25, 1.1])
    assert {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("starts_s", [[0.5], [1.0, 0.5], [0.1, 0.2, 0.3]])
def test_times_that_do_not_fit_the_words_are_refused(corpus, tmp_path, starts_s):
    with pytest.raises(InputError, match="need one for each of 2 words, in order"):
        correct(corpus, 0, "a-500", tmp_path / "corrected", starts_s)
    assert not (tmp_path / "corrected").exists()


def test_words_of_songs_that_were_not_aligned_are_kept_by_clip(corpus, tmp_path):
    table_path(corpus, 0, "align").unlink()
    path = correct(corpus, 0, "a-3000", tmp_path / "corrected", [0.5])
    assert path.name == "a-3000.lrc" and parse_lrc(path.read_text()).lines[0].words[0].start_s == 3.5
    assert drawn(corpus, 0, "a-3000", tmp_path / "corrected")["words"][0]["start_s"] == pytest.approx(0.5)


def test_the_page_shows_no_corpus_but_the_one_it_was_started_with(corpus, tmp_path):
    async def look() -> None:
        for shown, code in ((None, 400), (corpus, 200)):
            settings = Settings(tmp_path / "runs", Limits(), shown, tmp_path / "corrected")
            async with TestClient(
                TestServer(application(Jobs(tmp_path / "out"), settings), host="127.0.0.1")
            ) as client:
                async with client.get("/corpus") as answer:
                    assert (await answer.json() is None) == (shown is None)
                async with client.get("/corpus/0/a-500") as answer:
                    assert answer.status == code
                async with client.post("/corpus/0/a-500", json={"starts_s": [0.1, 0.9]}) as answer:
                    assert answer.status == code
                for id, body in (("nobody", {"starts_s": [0.1]}), ("a-500", {"starts_s": "x"})):
                    async with client.post(f"/corpus/0/{id}", json=body) as answer:
                        assert answer.status == 400
        assert [path.name for path in (tmp_path / "corrected").iterdir()] == ["a.lrc"]

    asyncio.run(look())
