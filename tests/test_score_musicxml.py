"""MusicXML <-> score: what singers' sheets hold, read as it is sung."""

import zipfile

import pytest

from autosing.errors import InputError
from autosing.score.formats.options import ReadOptions
from autosing.score.score import Note, Score
from autosing.score.tempo import Meter, Tempo, TempoMap
from support.scores import star_score

pytest.importorskip("music21")
from autosing.score.formats.musicxml import read_musicxml
from autosing.score.formats.musicxml_write import write_musicxml

HEAD = "<attributes><divisions>4</divisions><time><beats>4</beats><beat-type>4</beat-type></time>{}</attributes>"


def note(pitch, duration, *lyrics, more="", chord=False, voice=1):
    """`pitch` as C5 or rest; each lyric: text, or (number, text, syllabic, more)."""
    what = "<rest/>" if pitch == "rest" else f"<pitch><step>{pitch[0]}</step><octave>{pitch[1:]}</octave></pitch>"
    written = ""
    for lyric in lyrics:
        number, text, syllabic, rest = (1, lyric, "single", "") if isinstance(lyric, str) else lyric
        written += f'<lyric number="{number}"><syllabic>{syllabic}</syllabic><text>{text}</text>{rest}</lyric>'
    head = f"{'<chord/>' if chord else ''}{what}<duration>{duration}</duration><voice>{voice}</voice>"
    return f"<note>{head}{more}{written}</note>"


def sheet(*measures, attributes="", parts=1):
    """Measures of the first part; the others have a whole rest in each."""
    rows = [
        "".join(f'<measure number="{k}">{HEAD.format(attributes) if k == 1 else ""}{held}</measure>'
                for k, held in enumerate(measures if part == 0 else [note("C3", 16)] * len(measures), start=1))
        for part in range(parts)
    ]  # fmt: skip
    listed = "".join(f'<score-part id="P{k}"><part-name>Part {k}</part-name></score-part>' for k in range(parts))
    body = "".join(f'<part id="P{k}">{row}</part>' for k, row in enumerate(rows))
    return f'<score-partwise version="3.1"><part-list>{listed}</part-list>{body}</score-partwise>'


def read(tmp_path, text, **options):
    path = tmp_path / "a.musicxml"
    path.write_text(text if text.startswith("<?xml") else f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return read_musicxml(path, ReadOptions(**options))


def melody(score):
    return [(n.start_s, n.end_s, n.midi) for n in score.notes]


def words(score):
    return [w.text for w in score.words]


def test_a_tie_is_one_note_and_a_slur_or_an_extender_holds_the_syllable(tmp_path):
    tied = note("E5", 8, "oh", more='<tie type="start"/><notations><tied type="start"/></notations>')
    tied += note("E5", 4, more='<tie type="stop"/><notations><tied type="stop"/></notations>')
    slurred = note("F5", 2, "my", more='<notations><slur type="start" number="1"/></notations>')
    slurred += note("G5", 2, more='<notations><slur type="stop" number="1"/></notations>')
    extended = note("A5", 4, (1, "love", "single", "<extend/>")) + note("B5", 4) + note("rest", 4) + note("C5", 4)
    score = read(tmp_path, sheet(tied + slurred, extended)).score
    assert words(score) == ["oh", "my", "love"]
    assert melody(score)[0] == (0.0, 1.5, 76) and score.slurs == (False, False, True, False, True, False)
    assert score.notes[-1].syllable is None and score.duration_s == 4.0


def test_hyphenated_syllables_are_one_word_and_its_middle_is_held_without_a_slur(tmp_path):
    bar = note("C5", 4, (1, "sis", "begin", "")) + note("D5", 4) + note("E5", 4, (1, "ter", "end", "")) + note("F5", 4)
    score = read(tmp_path, sheet(bar)).score
    assert words(score) == ["sister"] and [s.text for s in score.syllables] == ["sis", "ter"]
    assert score.slurs == (False, True, False, False) and score.notes[3].syllable is None


def test_verse_n_is_sung_at_pass_n_and_endings_have_their_own(tmp_path):
    first = '<barline location="left"><repeat direction="forward"/></barline>'
    ending = '<barline location="left"><ending number="{0}" type="start"/></barline>'
    close = '<barline location="right"><ending number="{0}" type="stop"/>{1}</barline>'
    verses = note("C5", 16, (1, "one", "single", ""), (2, "two", "single", ""))
    again = ending.format(1) + note("D5", 16, "back") + close.format(1, '<repeat direction="backward"/>')
    end = ending.format(2) + note("E5", 16, (1, "no", "single", ""), (2, "end", "single", "")) + close.format(2, "")
    score = read(tmp_path, sheet(first + verses, again, end)).score
    assert words(score) == ["one", "back", "two", "end"] and [n.midi for n in score.notes] == [72, 74, 72, 76]
    assert [n.start_s for n in score.notes] == [0, 2, 4, 6]
    plain = sheet(verses)
    assert words(read(tmp_path, plain).score) == ["one"] and words(read(tmp_path, plain, verse=2).score) == ["two"]


def test_dal_segno_al_coda_is_followed(tmp_path):
    sign = "<direction><direction-type>{}</direction-type><sound {}/></direction>"
    bars = [
        note("C5", 16, "a"),
        sign.format("<segno/>", 'segno="1"') + note("D5", 16, "b"),
        note("E5", 16, "c") + sign.format("<words>To Coda</words>", 'tocoda="1"'),
        note("F5", 16, "d") + sign.format("<words>D.S. al Coda</words>", 'dalsegno="1"'),
        sign.format("<coda/>", 'coda="1"') + note("G5", 16, "e"),
    ]
    found = read(tmp_path, sheet(*bars))
    assert words(found.score) == list("abcdbce"), found.remarks


def test_two_texts_on_one_note_share_it(tmp_path):
    one, two = (f"<syllabic>single</syllabic><text>{text}</text>" for text in ("I", "am"))
    elided = f"<lyric number='1'>{one}<elision> </elision>{two}</lyric>"
    score = read(tmp_path, sheet(note("C5", 8, more="").replace("</note>", f"{elided}</note>"))).score
    assert words(score) == ["I", "am"] and melody(score) == [(0, 0.5, 72), (0.5, 1.0, 72)]


def test_grace_notes_take_time_from_the_note_behind_and_begin_its_syllable(tmp_path):
    grace = "<note><grace/><pitch><step>D</step><octave>5</octave></pitch><voice>1</voice><type>eighth</type></note>"
    score = read(tmp_path, sheet(note("C5", 4, "a") + grace + note("E5", 4, "b") + note("rest", 8))).score
    assert melody(score) == [(0, 0.5, 72), (0.5, 0.5625, 74), (0.5625, 1.0, 76)]
    assert words(score) == ["a", "b"] and score.slurs == (False, False, True)


def test_transposing_parts_sound_as_they_sound_and_tuplets_and_tempos_are_exact(tmp_path):
    transpose = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    assert read(tmp_path, sheet(note("C5", 16, "a"), attributes=transpose)).score.notes[0].midi == 70
    third = "<time-modification><actual-notes>3</actual-notes><normal-notes>2</normal-notes></time-modification>"
    head = HEAD.format("").replace("<divisions>4", "<divisions>12")
    bar = (
        '<sound tempo="90"/>'
        + "".join(note("C5", 4, "a", more=f"<type>eighth</type>{third}") for _ in range(3))
        + note("rest", 36)
    )
    text = sheet("").replace(HEAD.format(""), head + bar)
    score = read(tmp_path, text).score
    assert [n.start_s for n in score.notes] == pytest.approx([0, 2 / 9, 4 / 9]) and score.tempo.tempos[0].bpm == 90


def test_of_two_voices_that_with_the_lyrics_is_sung(tmp_path):
    bar = note("C5", 8, "a") + note("D5", 8, "b") + "<backup><duration>16</duration></backup>" + note("E4", 16, voice=2)
    assert [n.midi for n in read(tmp_path, sheet(bar)).score.notes] == [72, 74]


def test_chords_are_refused_with_bar_and_remedy(tmp_path):
    bar = note("C5", 8, "a") + note("D5", 8, "b") + note("F5", 8, chord=True)
    with pytest.raises(InputError, match=r"bar 1, beat 3 \(1\.00 s\).*--track 2\), or the upper one \(--highest\)"):
        read(tmp_path, sheet(bar, parts=2))
    assert [n.midi for n in read(tmp_path, sheet(bar), highest=True).score.notes] == [72, 77]


def test_parts_are_named(tmp_path):
    text = sheet(note("C5", 16, "la"), parts=2)
    found = read(tmp_path, text)
    assert found.score.notes[0].midi == 72 and "part 1 'Part 0'" in found.remarks[0]
    assert read(tmp_path, text, track="part 1").score.notes[0].midi == 48
    with pytest.raises(InputError, match="no part 'x' with notes; there are 1 'Part 0'; 2 'Part 1'"):
        read(tmp_path, text, track="x")
    with pytest.raises(InputError, match="2 parts and no lyrics"):
        read(tmp_path, sheet(note("C5", 16), parts=2))


def test_a_pickup_and_utf_16_and_mxl_are_read(tmp_path):
    text = sheet(note("C5", 4, "oh"), note("D5", 16, "별")).replace(
        'number="1"><attr', 'number="0" implicit="yes"><attr'
    )
    xml = f'<?xml version="1.0" encoding="UTF-16"?>{text}'
    (tmp_path / "a.xml").write_bytes(xml.encode("utf-16"))
    score = read_musicxml(tmp_path / "a.xml").score
    assert melody(score) == [(0, 0.5, 72), (0.5, 2.5, 74)] and words(score) == ["oh", "별"]
    container = '<container><rootfiles><rootfile full-path="in/song.xml"/></rootfiles></container>'
    with zipfile.ZipFile(tmp_path / "a.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("in/song.xml", xml.encode("utf-16"))
    assert read_musicxml(tmp_path / "a.mxl").score == score


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not readable as MusicXML"),
        (b"<score-timewise/>", "need <score-partwise>"),
        (b"PK\3\4", "compressed MusicXML"),
        (sheet(note("rest", 16)).encode(), "no notes in it"),
    ],
)
def test_what_is_no_sheet_is_refused(tmp_path, data, said):
    (tmp_path / "a.musicxml").write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_musicxml(tmp_path / "a.musicxml")


def test_a_score_comes_back_to_the_division(tmp_path):
    before = star_score()
    tempo = TempoMap(
        tempos=(Tempo(beat=0, bpm=97), Tempo(beat=2.5, bpm=141.5)),
        meters=(Meter(beat=0, numerator=3, denominator=4), Meter(beat=6, numerator=6, denominator=8)),
    )
    notes = [n.model_copy(update={"start_s": n.start_s + 0.0137, "end_s": n.end_s - 0.02}) for n in before.notes]
    for score in (before, before.replace(tempo=tempo, notes=tuple(notes), duration_s=4.7)):
        write_musicxml(score, tmp_path / "b.musicxml")
        again = read_musicxml(tmp_path / "b.musicxml", ReadOptions(language="en")).score
        assert [w.text for w in again.words] == ["sister", "stars"] and again.slurs == score.slurs
        assert [s.text for s in again.syllables] == ["sis", "ter", "stars"]
        tick_s = 60 / 97 / 480
        for one, other in zip(score.notes, again.notes, strict=True):
            assert (other.start_s, other.end_s) == pytest.approx((one.start_s, one.end_s), abs=tick_s)
            assert other.midi == round(one.midi)
        assert again.duration_s >= score.duration_s - tick_s
        assert [m.numerator for m in again.tempo.meters] == [m.numerator for m in score.tempo.meters]


def test_a_spoken_note_comes_back_spoken(tmp_path):
    score = Score(duration_s=1, notes=(Note(start_s=0, end_s=1),))
    write_musicxml(score, tmp_path / "c.musicxml")
    assert read_musicxml(tmp_path / "c.musicxml").score.notes[0].midi is None
    with pytest.raises(InputError, match="begins at 0"):
        write_musicxml(Score(duration_s=1, notes=(Note(start_s=-1, end_s=1),)), tmp_path / "c.musicxml")
