"""MIDI <-> score: times to the tick, and the troubles that people's MIDI files bring."""

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.errors import InputError
from autosing.score.formats.midi import read_midi
from autosing.score.formats.midi_write import write_midi
from autosing.score.formats.options import ReadOptions
from autosing.score.score import Note, Score, Syllable, Word
from autosing.score.tempo import Meter, Tempo, TempoMap
from support.scores import star_score

TICK_S = 60 / 120 / 480


def file_of(path, *tracks, division=480):
    """Each track: (tick, message) in any order."""
    file = mido.MidiFile(type=1, ticks_per_beat=division, charset="utf-8")
    for events in tracks:
        track, at = mido.MidiTrack(), 0
        for tick, message in sorted(events, key=lambda event: event[0]):
            track.append(message.copy(time=tick - at))
            at = tick
        file.tracks.append(track)
    file.save(str(path))
    return path


def note(start, end, pitch=60, channel=0):
    on = mido.Message("note_on", note=pitch, velocity=80, channel=channel)
    return [(start, on), (end, mido.Message("note_on", note=pitch, velocity=0, channel=channel))]


def lyric(tick, text, kind="lyrics"):
    return (tick, mido.MetaMessage(kind, text=text))


def test_a_score_comes_back_with_its_words_slurs_and_times(tmp_path):
    write_midi(star_score(), tmp_path / "a.mid")
    again = read_midi(tmp_path / "a.mid", ReadOptions(language="en")).score
    before = star_score()
    assert [w.text for w in again.words] == ["sister", "stars"] and [s.text for s in again.syllables][:2] == [
        "sis",
        "ter",
    ]
    assert again.slurs == before.slurs and again.duration_s == pytest.approx(4.0, abs=TICK_S)
    for one, other in zip(before.notes, again.notes, strict=True):
        assert (one.start_s, one.end_s) == pytest.approx((other.start_s, other.end_s), abs=TICK_S)
        assert other.midi == round(one.midi)


TEMPOS = st.lists(st.tuples(st.integers(1, 30), st.floats(30, 300)), max_size=4, unique_by=lambda t: t[0])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(0.05, 3), st.integers(0, 127)), min_size=1, max_size=12),
    TEMPOS,
    st.floats(30, 300),
    st.floats(-5, 5),
)
def test_times_of_any_tempo_map_are_kept_to_the_tick(tmp_path_factory, notes, changes, bpm, first_beat_s):
    at, made = 0.0, []
    for gap, length, pitch in notes:
        made.append(Note(start_s=at + gap, end_s=at + gap + length, midi=pitch))
        at += gap + length
    tempos = (Tempo(beat=0, bpm=bpm), *(Tempo(beat=b, bpm=t) for b, t in sorted(changes)))
    score = Score(duration_s=at + 1, tempo=TempoMap(first_beat_s=first_beat_s, tempos=tempos), notes=tuple(made))
    path = tmp_path_factory.mktemp("midi") / "a.mid"
    write_midi(score, path)
    again = read_midi(path).score
    tick_s = 60 / min(tempo.bpm for tempo in again.tempo.tempos) / 480
    for one, other in zip(score.notes, again.notes, strict=True):
        assert abs(one.start_s - other.start_s) <= tick_s and abs(one.end_s - other.end_s) <= 1.5 * tick_s


def test_a_lyric_beside_its_note_finds_it_and_one_far_from_all_is_told(tmp_path):
    events = [*note(0, 480), *note(480, 960, 62), lyric(12, "la"), lyric(470, "lo"), lyric(720, "far")]
    found = read_midi(file_of(tmp_path / "a.mid", events))
    assert [w.text for w in found.score.words] == ["la", "lo"] and found.score.notes[1].syllable == 1
    assert any("'far' at 0.75 s" in remark for remark in found.remarks)


def test_two_lyrics_at_one_tick_are_sung_once(tmp_path):
    melody = [*note(0, 480), *note(480, 960)]
    sung, translated = [lyric(0, "sol"), lyric(480, "luz")], [lyric(0, "sun"), lyric(480, "light"), lyric(500, "x")]
    found = read_midi(file_of(tmp_path / "a.mid", melody + sung, translated[:2]))
    assert [w.text for w in found.score.words] == ["sol", "luz"]
    assert any("lyrics of track 2 are left out" in remark for remark in found.remarks)
    one = read_midi(file_of(tmp_path / "b.mid", [*melody, lyric(0, "a"), lyric(0, "b"), lyric(480, "c")]))
    assert [w.text for w in one.score.words] == ["a", "c"] and "'b' at 0.00 s" in one.remarks[0]


@pytest.mark.parametrize("mark", ["+", "-", "=", "_", "*", "~", ""])
def test_marks_hold_the_syllable_before(tmp_path, mark):
    events = [*note(0, 480), *note(480, 960, 62), *note(960, 1440), lyric(0, "star"), lyric(480, mark), lyric(960, "s")]
    score = read_midi(file_of(tmp_path / "a.mid", events)).score
    assert score.slurs == (False, True, False) and [w.text for w in score.words] == ["star", "s"]


def test_hyphens_join_and_marks_of_games_and_karaoke_are_read(tmp_path):
    events = [*note(0, 480), *note(480, 960), *note(960, 1440), *note(1440, 1920)]
    texts = ["sis-", "ter", "yo#", "hey^"]
    score = read_midi(file_of(tmp_path / "a.mid", events + [lyric(480 * k, t) for k, t in enumerate(texts)])).score
    assert [w.text for w in score.words] == ["sister", "yo", "hey"]
    assert [n.midi for n in score.notes] == [60, 60, None, None]
    karaoke = ["@TTitle", "@LENGL", "\\He", "llo ", "wor", "ld ", "/new"]
    ticks = [0, 0, 0, 480, 960, 1440, 1920]
    events += note(1920, 2400)
    texts = [lyric(t, text, "text") for t, text in zip(ticks, karaoke, strict=True)]
    score = read_midi(file_of(tmp_path / "b.kar", events, texts)).score
    assert [w.text for w in score.words] == ["Hello", "world", "new"] and [w.line for w in score.words] == [0, 0, 1]


def test_seconds_follow_the_tempo_map_in_a_note_and_any_metre(tmp_path):
    tempos = [
        (0, mido.MetaMessage("set_tempo", tempo=500_000)),
        (720, mido.MetaMessage("set_tempo", tempo=1_000_000)),
        (0, mido.MetaMessage("time_signature", numerator=6, denominator=8)),
    ]
    score = read_midi(file_of(tmp_path / "a.mid", tempos, [*note(480, 960), *note(960, 1440)])).score
    assert [(n.start_s, n.end_s) for n in score.notes] == [(0.5, 1.25), (1.25, 2.25)]
    assert score.tempo.meters[0] == Meter(beat=0, numerator=6, denominator=8)
    plain = read_midi(file_of(tmp_path / "b.mid", note(480, 960))).score
    assert plain.notes[0].start_s == 0.5  # 120 where the file does not say


def test_an_smpte_time_base_counts_frames_whatever_the_tempo(tmp_path):
    path = file_of(tmp_path / "a.mid", [(0, mido.MetaMessage("set_tempo", tempo=900_000)), *note(1000, 2000)])
    data = bytearray(path.read_bytes())
    data[12:14] = bytes([256 - 25, 40])  # 25 frames a second of 40 ticks: a tick is a millisecond
    path.write_bytes(data)
    score = read_midi(path).score
    assert (score.notes[0].start_s, score.notes[0].end_s) == pytest.approx((1.0, 2.0))


def test_a_note_that_is_never_ended_ends_with_its_track(tmp_path):
    events = [(0, mido.Message("note_on", note=60, velocity=80)), (960, mido.MetaMessage("marker", text="end"))]
    assert read_midi(file_of(tmp_path / "a.mid", events)).score.notes[0].end_s == 1.0


def test_legato_is_cut_octaves_are_one_voice_and_chords_are_refused_with_the_remedy(tmp_path):
    legato = read_midi(file_of(tmp_path / "a.mid", [*note(0, 485), *note(480, 960, 62)])).score
    assert legato.notes[0].end_s == legato.notes[1].start_s == 0.5
    octaves = read_midi(file_of(tmp_path / "b.mid", [*note(0, 480, 48), *note(0, 480, 60)]))
    assert [n.midi for n in octaves.score.notes] == [60] and "left out" in octaves.remarks[0]
    chord = file_of(tmp_path / "c.mid", [*note(0, 480), *note(2400, 2880), *note(2400, 2880, 64)])
    with pytest.raises(InputError, match=r"bar 2, beat 2 \(2\.50 s\).*--highest"):
        read_midi(chord)
    assert [n.midi for n in read_midi(chord, ReadOptions(highest=True)).score.notes] == [60, 64]


def test_the_track_with_lyrics_is_sung_and_others_can_be_named(tmp_path):
    name = lambda text: (0, mido.MetaMessage("track_name", name=text))  # noqa: E731
    piano, voice = [name("piano"), *note(0, 480, 40), *note(480, 960, 43)], [name("Anna"), *note(0, 960, 72)]
    found = read_midi(file_of(tmp_path / "a.mid", piano, voice, [lyric(0, "la")]))
    assert found.score.notes[0].midi == 40 or found.score.notes[0].midi == 72
    sung = read_midi(
        file_of(tmp_path / "b.mid", piano, [*voice, *note(960, 1440, 74)], [lyric(0, "la"), lyric(960, "lo")])
    )
    assert [n.midi for n in sung.score.notes] == [72, 74] and "track 2 'Anna'" in sung.remarks[0]
    named = read_midi(file_of(tmp_path / "c.mid", piano, voice), ReadOptions(track="anna"))
    assert named.score.notes[0].midi == 72
    assert read_midi(tmp_path / "c.mid", ReadOptions(track="1")).score.notes[0].midi == 40
    with pytest.raises(InputError, match=r"2 tracks with notes and no lyrics.*1 'piano' \(2 notes\); 2 'Anna'"):
        read_midi(tmp_path / "c.mid")
    with pytest.raises(InputError, match="no track 'bass' with notes"):
        read_midi(tmp_path / "c.mid", ReadOptions(track="bass"))


def test_rests_before_and_behind_stay(tmp_path):
    events = [*note(960, 1440), (4800, mido.MetaMessage("marker", text="end"))]
    score = read_midi(file_of(tmp_path / "a.mid", events)).score
    assert score.rests == ((0.0, 1.0), (1.5, 5.0)) and score.duration_s == 5.0


def test_korean_and_latin_lyrics_are_read_as_they_are_written(tmp_path):
    words = ("별", "빛")
    for charset in ("utf-8", "cp949"):
        file = mido.MidiFile(charset=charset)
        track = mido.MidiTrack()
        for word in words * 8:
            track.append(mido.MetaMessage("lyrics", text=word))
            track.append(mido.Message("note_on", note=60, velocity=80))
            track.append(mido.Message("note_off", note=60, time=480))
        file.tracks.append(track)
        file.save(str(tmp_path / "a.mid"))
        found = read_midi(tmp_path / "a.mid")
        assert [w.text for w in found.score.words] == list(words * 8)
        assert bool(found.remarks) == (charset != "utf-8")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not readable as MIDI"),
        (b"RIFFxxxx", "not readable as MIDI"),
        (b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\4", "MIDI"),
    ],
)
def test_what_is_no_midi_is_refused(tmp_path, data, words):
    (tmp_path / "a.mid").write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_midi(tmp_path / "a.mid")


def test_a_file_without_notes_is_refused(tmp_path):
    with pytest.raises(InputError, match="no notes in it"):
        read_midi(file_of(tmp_path / "a.mid", [lyric(0, "la")]))


def test_words_without_syllables_of_their_own_are_written_on_their_first_note(tmp_path):
    score = Score(
        duration_s=2, words=(Word(text="river"),), syllables=(Syllable(word=0), Syllable(word=0)),
        notes=(Note(start_s=0, end_s=1, midi=60, syllable=0), Note(start_s=1, end_s=2, midi=62, syllable=1)),
    )  # fmt: skip
    write_midi(score, tmp_path / "a.mid")
    again = read_midi(tmp_path / "a.mid").score
    assert [w.text for w in again.words] == ["river"] and again.slurs == (False, True)
    with pytest.raises(InputError, match="a MIDI file begins at 0"):
        write_midi(score.replace(notes=(Note(start_s=-1, end_s=0.5, midi=60),)), tmp_path / "a.mid")
