"""Scores by the ending of their files; OpenUtau's projects; and one score through every format in turn."""

import builtins

import pytest
import yaml

from autosing.errors import InputError
from autosing.score.files import READERS, WRITERS, read_score, write_score
from autosing.score.formats.options import ReadOptions
from autosing.score.tempo import Meter, Tempo, TempoMap
from autosing.score.timing import with_times
from support.scores import star_score

PROJECT = {
    "bpm": 120, "resolution": 480, "beat_per_bar": 3, "beat_unit": 4,
    "tempos": [{"position": 0, "bpm": 120}, {"position": 960, "bpm": 60}],
    "time_signatures": [{"bar_position": 0, "beat_per_bar": 3, "beat_unit": 4}],
    "tracks": [{"track_name": "Lead"}, {"track_name": "Choir"}],
    "voice_parts": [
        {"track_no": 0, "position": 480, "duration": 1920, "notes": [
            {"position": 0, "duration": 480, "tone": 60, "lyric": "hello"},
            {"position": 480, "duration": 480, "tone": 62, "lyric": "+"},
            {"position": 960, "duration": 240, "tone": 64, "lyric": "cat [k ae t]", "tuning": 30},
            {"position": 1200, "duration": 240, "tone": 65, "lyric": "+~"},
            {"position": 1440, "duration": 480, "tone": 60, "lyric": "AP"},
        ]},
        {"track_no": 1, "position": 0, "notes": [{"position": 0, "duration": 480, "tone": 48, "lyric": "ooh"}]},
    ],
}  # fmt: skip


def ustx(tmp_path, **changes):
    path = tmp_path / "a.ustx"
    path.write_text(yaml.safe_dump(PROJECT | changes, allow_unicode=True))
    return path


def test_a_project_of_openutau_is_read(tmp_path):
    found = read_score(ustx(tmp_path), ReadOptions(language="en"))
    score = found.score
    assert [w.text for w in score.words] == ["hello", "cat"] and score.slurs == (False, True, False, True)
    assert [(n.start_s, n.end_s) for n in score.notes] == [(0.5, 1.0), (1.0, 2.0), (2.0, 2.5), (2.5, 3.0)]
    assert score.notes[2].midi == pytest.approx(64.3) and score.duration_s == 4.0 and "Lead" in found.remarks[0]
    assert [n.midi for n in read_score(ustx(tmp_path), ReadOptions(track="choir")).score.notes] == [48]
    with pytest.raises(InputError, match="no track 'x'; there are 1 'Lead' \\(5 notes\\)"):
        read_score(ustx(tmp_path), ReadOptions(track="x"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"voice_parts": None}, "no voice_parts"),
        ({"voice_parts": []}, "no notes in it"),
        ({"voice_parts": [{"notes": [{"position": 0, "tone": 60}]}]}, "need position, duration, tone and lyric"),
        ({"voice_parts": [{"notes": [{"position": 0, "duration": 9, "tone": 300, "lyric": "a"}]}]}, "need position"),
        ({"tempos": [{"position": 0, "bpm": "x"}]}, "tempos or time signatures are damaged"),
    ],
)
def test_a_damaged_project_is_refused(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        read_score(ustx(tmp_path, **changes))


def test_a_score_passes_through_every_format_that_holds_notes(tmp_path):
    tempo = TempoMap(
        first_beat_s=0.1, tempos=(Tempo(beat=0, bpm=100), Tempo(beat=4, bpm=137)),
        meters=(Meter(beat=0, numerator=3, denominator=4),),
    )  # fmt: skip
    start = with_times(star_score().replace(tempo=tempo))
    for ending in (".json", ".mid", ".musicxml", ".ustx", ".txt", ".ds", ".TextGrid"):
        path = tmp_path / f"a{ending}"
        write_score(start, path)
        again = read_score(path, ReadOptions(language="en")).score
        slack_s = 60 / 100 / 480 if ending in (".mid", ".musicxml", ".ustx") else 1e-3
        for one, other in zip(start.notes, again.notes, strict=True):
            assert (other.start_s, other.end_s) == pytest.approx((one.start_s, one.end_s), abs=slack_s), ending
        assert again.slurs == start.slurs, ending
        if ending != ".ds":  # which names no words
            assert [w.text for w in again.words] == ["sister", "stars"], ending


def test_unknown_kinds_and_missing_files_and_packages_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"of an unknown kind; need one of \.mid"):
        read_score(tmp_path / "a.pdf")
    with pytest.raises(InputError, match="no such file"):
        read_score(tmp_path / "a.mid")
    with pytest.raises(InputError, match="of an unknown kind"):
        write_score(star_score(), tmp_path / "a.mxl")
    write_score(star_score(), tmp_path / "a.mid")
    real = builtins.__import__

    def without_mido(name, *rest):
        if name == "mido":
            raise ModuleNotFoundError("No module named 'mido'", name="mido")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_mido)
    with pytest.raises(InputError, match=r"package mido is not installed; run pip install 'autosing\[score\]'"):
        read_score(tmp_path / "a.mid")


def test_what_is_written_can_be_read():
    assert set(WRITERS) <= set(READERS)


def test_labels_with_syllables_and_pitches_are_a_score(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(
        '{"language": "English", "syllables": [{"start": 1, "end": 1.5, "pitch": 9, "text": "So", "line": 4}, '
        '{"start": 1.5, "end": 2, "pitch": 11, "text": " far", "line": 4}, '
        '{"start": 2, "end": 3, "pitch": 9, "text": "~"}, '
        '{"start": 3, "end": 4, "midi": 62.5, "text": "off", "line": 5}]}'
    )
    score = read_score(path).score
    assert [(w.text, w.language) for w in score.words] == [("So", "en"), ("far", "en"), ("off", "en")]
    assert [n.midi for n in score.notes] == [69, 71, 69, 62.5] and score.slurs == (False, False, True, False)
    path.write_text('{"syllables": [{"start": "x", "end": 1, "pitch": 1}]}')
    with pytest.raises(InputError, match="syllable 1 is"):
        read_score(path)
    path.write_text("[]")
    with pytest.raises(InputError, match="need a score as autosing writes it"):
        read_score(path)
