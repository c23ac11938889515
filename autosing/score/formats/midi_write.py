"""A score -> a MIDI file: a track of tempos and one of the voice, with lyrics.

Pitches are rounded to semitones. A spoken note is a C4 whose lyric ends in `#`; a note that goes on with its syllable
has the lyric `-`, a syllable that goes on with its word follows one that ends in a hyphen.
"""

from pathlib import Path
from typing import Any

from autosing.errors import InputError
from autosing.score.score import Score

TICKS_PER_BEAT = 480
_SPOKEN_MIDI = 60
_SLOWEST_BPM = 3.6
"""A tempo is 24 bits of microseconds."""


def write_midi(score: Score, path: Path) -> None:
    """Raises InputError for what a MIDI file cannot say: a note before time 0, a tempo of a beat in 17 seconds."""
    import mido

    tempo = score.tempo.from_zero()
    early = next((note for note in score.notes if note.start_s < -1e-9), None)
    if early is not None:
        raise InputError(f"{path}: a note at {early.start_s:.3f} s; a MIDI file begins at 0: cut or move the score")
    slow = next((mark for mark in tempo.tempos if mark.bpm < _SLOWEST_BPM), None)
    if slow is not None:
        raise InputError(f"{path}: {slow.bpm:g} quarter notes a minute; MIDI needs {_SLOWEST_BPM} or more")

    def tick(time_s: float) -> int:
        return round(tempo.beats(time_s) * TICKS_PER_BEAT)

    marks: list[tuple[int, Any]] = []
    for mark in tempo.tempos:
        marks.append((round(mark.beat * TICKS_PER_BEAT), mido.MetaMessage("set_tempo", tempo=round(6e7 / mark.bpm))))
    for meter in tempo.meters:
        numbers = {"numerator": meter.numerator, "denominator": 1 << (meter.denominator - 1).bit_length()}
        marks.append((round(meter.beat * TICKS_PER_BEAT), mido.MetaMessage("time_signature", **numbers)))
    voice: list[tuple[int, Any]] = []
    for note, text in zip(score.notes, lyric_texts(score), strict=True):
        first = tick(note.start_s)
        last = max(tick(note.end_s), first + 1)
        pitch = _SPOKEN_MIDI if note.midi is None else round(note.midi)
        if text is not None:
            voice.append((first, mido.MetaMessage("lyrics", text=text + "#" * (note.midi is None and text != "-"))))
        voice.append((first, mido.Message("note_on", note=pitch, velocity=90)))
        voice.append((last, mido.Message("note_off", note=pitch, velocity=0)))
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8")
    end = tick(score.duration_s)
    for name, events in (("tempo", marks), ("voice", voice)):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
        at = 0
        for when, message in sorted(events, key=lambda event: (event[0], event[1].type != "note_off")):
            track.append(message.copy(time=when - at))
            at = when
        track.append(mido.MetaMessage("end_of_track", time=max(end - at, 0)))
        file.tracks.append(track)
    file.save(str(path))


def lyric_texts(score: Score) -> list[str | None]:
    """What stands under each note: a syllable, `-` where it is held, None where nothing is known to be sung."""
    firsts = {syllable.word: k for k, syllable in reversed(list(enumerate(score.syllables)))}
    found: list[str | None] = []
    for note, slur in zip(score.notes, score.slurs, strict=True):
        if note.syllable is None:
            found.append(None)
            continue
        syllable = score.syllables[note.syllable]
        text = syllable.text or (score.words[syllable.word].text if firsts[syllable.word] == note.syllable else "")
        following = note.syllable + 1
        joined = following < len(score.syllables) and score.syllables[following].word == syllable.word
        goes_on = joined and bool(score.syllables[following].text)
        found.append("-" if slur or not text else text + "-" * goes_on)
    return found
