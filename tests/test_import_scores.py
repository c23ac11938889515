"""Scores beside songs, and singing corpora of known layout, on small made copies."""

import json
from pathlib import Path

import pytest

from autosing.schemas.tables import Song
from autosing.score.files import write_score
from autosing.score.score import Score
from autosing.score.timing import with_times
from autosing.storage.tables import partitions, read_rows, table_path
from processing.importer.importer import ImportReport, import_corpus
from support.hostile import song
from support.scores import star_score


def imported(tmp_path: Path) -> tuple[dict[str, Song], ImportReport]:
    """(id -> song, report)."""
    report = import_corpus(tmp_path / "s", tmp_path / "c")
    rows = [row for k in partitions(tmp_path / "c") for row in read_rows(table_path(tmp_path / "c", k, "index"), Song)]
    return {row.id: row for row in rows}, report


def audio(tmp_path: Path, *names: str) -> None:
    for name in names:
        path = tmp_path / "s" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(song(name, samples=200))


def score_of(row: Song) -> Score:
    assert row.score is not None
    return Score.from_json(row.score)


@pytest.mark.parametrize("ending", ["mid", "musicxml", "ustx", "txt", "ds", "TextGrid"])
def test_a_score_beside_a_song_comes_with_it(tmp_path, ending):
    audio(tmp_path, "a.wav", "b.wav")
    write_score(with_times(star_score()), tmp_path / "s" / f"a.{ending}")
    rows, report = imported(tmp_path)
    assert rows["b"].score is None and [n.midi for n in score_of(rows["a"]).notes][:3] == [60, 62, 64]
    if ending != "ds":
        assert (
            rows["a"].raw_lyrics == "sister\nstars" if ending != "TextGrid" else rows["a"].raw_lyrics == "sister stars"
        )
    assert not [item for item in report.remarks if item["reason"] == "score_not_readable"]
    again, second = imported(tmp_path)
    assert second.kept and not second.changed and again["a"].score == rows["a"].score


def test_a_score_that_cannot_be_sung_is_remarked_and_the_lyrics_stay(tmp_path):
    audio(tmp_path, "a.wav", "b.wav")
    (tmp_path / "s" / "a.txt").write_text("#TITLE:x\n#BPM:120\n: 0 8 0 la\n: 2 8 4  lo\nE\n")
    (tmp_path / "s" / "b.mid").write_bytes(b"MThd")
    rows, report = imported(tmp_path)
    assert (
        rows["a"].lrc_lyrics == "[00:00.00]<00:00.00>la <00:00.25>lo <00:01.25>"
        and rows["a"].score is None
        and rows["b"].score is None
    )
    found = {item["file"]: item["measurement"] for item in report.remarks if item["reason"] == "score_not_readable"}
    assert "two notes at once" in found["a.wav"] and "not readable as MIDI" in found["b.wav"]


def test_opencpop_is_read_with_its_slurs(tmp_path):
    audio(tmp_path, "segments/wavs/2001000001.wav", "segments/wavs/2001000002.wav")
    rows = [
        "2001000001|感受|AP g an sh ou ou SP|rest C4 C4 D4/Eb4 D4 E4 rest|0.2 0.5 0.5 0.4 0.4 0.3 0.1"
        "|0.2 0.1 0.4 0.15 0.25 0.3 0.1|0 0 0 0 0 1 0",
        "2001000002|停|t ing|C4 C4|0.4|0.1 0.3|0 0",
        "2001000002|停|t ing|C4|0.4 0.4|0.1 0.3|0 0",
    ]
    (tmp_path / "s" / "segments" / "transcriptions.txt").write_text("\n".join(rows).replace("D4/Eb4", "D4"))
    found, report = imported(tmp_path)
    by_text = {row.raw_lyrics: row for row in found.values()}
    score = score_of(by_text["感受"])
    assert [w.text for w in score.words] == ["感", "受"] and score.breaths[0].end_s == pytest.approx(0.2)
    assert [p.symbol for p in score.phones] == ["k", "a", "n", "ʂ", "oʊ"]
    assert [(n.start_s, n.end_s, n.midi) for n in score.notes] == [
        (pytest.approx(0.3), pytest.approx(0.85), 60), (pytest.approx(0.85), pytest.approx(1.1), 62),
        (pytest.approx(1.1), pytest.approx(1.4), 64),
    ]  # fmt: skip
    assert score.slurs == (False, False, True) and score.timed
    assert by_text["停"].artist == "opencpop" and by_text["停"].language == "zh" and by_text["停"].score is None
    assert any("need as many of each" in item["measurement"] for item in report.remarks)


def test_m4singer_names_singers_by_its_items(tmp_path):
    audio(tmp_path, "Alto-1#newboy/0000.wav", "Tenor-2#newboy/0000.wav")
    item = {
        "item_name": "Alto-1#newboy#0000", "txt": "星空", "phs": ["<AP>", "x", "ing", "k", "ong", "<SP>"],
        "is_slur": [0, 0, 0, 0, 0, 0], "ph_dur": [0.3, 0.1, 0.4, 0.1, 0.5, 0.2], "notes": [0, 64, 64, 62, 62, 0],
        "notes_dur": [0.3, 0.5, 0.5, 0.6, 0.6, 0.2],
    }  # fmt: skip
    broken = item | {"item_name": "Tenor-2#newboy#0000", "ph_dur": ["x"]}
    (tmp_path / "s" / "meta.json").write_text(json.dumps([item, broken], ensure_ascii=False))
    found, report = imported(tmp_path)
    by_singer = {row.artist: row for row in found.values()}
    score = score_of(by_singer["Alto-1"])
    assert [n.midi for n in score.notes] == [64, 62] and [w.text for w in score.words] == ["星", "空"]
    assert score.notes[0].end_s == score.notes[1].start_s == pytest.approx(0.9)
    assert by_singer["Tenor-2"].score is None and by_singer["Tenor-2"].raw_lyrics == "星空"
    assert any("labels are damaged" in item["measurement"] for item in report.remarks)


def test_gtsinger_has_its_words_beside_each_recording(tmp_path):
    audio(tmp_path, "English/EN-Alto-1/Breathy/Song/Control_Group/0000.wav")
    words = [
        {"word": "<AP>", "start_time": 0, "end_time": 0.3, "ph": ["<AP>"], "ph_start": [0], "ph_end": [0.3],
         "note": [0], "note_start": [0], "note_end": [0.3]},
        {"word": "hello", "start_time": 0.3, "end_time": 1.5, "ph": ["HH", "AH0", "L", "OW1"],
         "ph_start": [0.3, 0.4, 0.7, 0.8], "ph_end": [0.4, 0.7, 0.8, 1.5], "note": [60, 64, 65],
         "note_start": [0.35, 0.8, 1.2], "note_end": [0.8, 1.2, 1.5]},
    ]  # fmt: skip
    path = tmp_path / "s/English/EN-Alto-1/Breathy/Song/Control_Group/0000.json"
    path.write_text(json.dumps(words))
    (row,) = imported(tmp_path)[0].values()
    score = score_of(row)
    assert [p.symbol for p in score.phones] == ["h", "ʌ", "l", "oʊ"] and row.raw_lyrics == "hello"
    assert [n.syllable for n in score.notes] == [0, 1, 1] and score.breaths[0].end_s == 0.3
    words[1].pop("note_end")
    path.write_text(json.dumps(words))
    report = imported(tmp_path)[1]
    assert any("word 2 is" in item["measurement"] for item in report.remarks)


def test_csd_binds_lyrics_to_notes_or_says_that_they_differ(tmp_path):
    audio(tmp_path, "CSD/korean/wav/kr001a.wav", "CSD/english/wav/en001a.wav", "CSD/english/wav/en002a.wav")
    notes = "start,end,pitch,syllable\n0.5,1.0,60,x\n1.0,1.5,62,x\n1.5,2.5,64,x\n"
    for language, name, lyrics in (("korean", "kr001a", "나비 야"), ("english", "en001a", "Little star"),
                                   ("english", "en002a", "Little")):  # fmt: skip
        home = tmp_path / "s" / "CSD" / language
        for folder in ("csv", "lyric"):
            (home / folder).mkdir(exist_ok=True)
        (home / "csv" / f"{name}.csv").write_text(notes)
        (home / "lyric" / f"{name}.txt").write_text(lyrics + "\n")
    found, report = imported(tmp_path)
    by_lyrics = {row.raw_lyrics: row for row in found.values()}
    korean, english = score_of(by_lyrics["나비 야"]), score_of(by_lyrics["Little star"])
    assert [s.text for s in korean.syllables] == ["나", "비", "야"] and korean.words[0].language == "ko"
    assert [w.text for w in english.words] == ["Little", "star"] and english.words[0].language == "en"
    assert [n.syllable for n in english.notes] == [0, 1, 2]
    assert by_lyrics["Little"].score is None and by_lyrics["Little"].artist == "csd"
    assert any("2 syllables of lyrics for 3 notes" in item["measurement"] for item in report.remarks)


def test_transcriptions_of_diffsinger_lie_beside_their_wavs(tmp_path):
    audio(tmp_path, "set/wavs/one.wav")
    row = 'name,ph_seq,ph_dur,note_seq,note_dur\none,"SP l a SP","0.2 0.1 0.5 0.2","rest C4 rest","0.3 0.5 0.2"\n'
    (tmp_path / "s/set/transcriptions.csv").write_text(row)
    (found,) = imported(tmp_path)[0].values()
    assert [n.midi for n in score_of(found).notes] == [60] and score_of(found).phones[0].symbol == "l"
