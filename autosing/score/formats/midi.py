"""A MIDI file -> a score. Lyrics may stand on another track than the notes; they are joined by time.

Times follow the tempo map (120 quarter notes a minute where there is none), or the clock of an SMPTE time base.
"""

import io
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autosing.errors import InputError
from autosing.score.assemble import OVERLAP_BEATS, SungNote, assemble, one_voice
from autosing.score.formats.options import USUAL, ReadOptions, ReadScore
from autosing.score.lyric_marks import Mark, is_head, read_marks
from autosing.score.tempo import Meter, Tempo, TempoMap
from autosing.text.files import decode_text

MAX_BYTES = 64 << 20
_DRUMS = 9
_VOICE_NAMES = ("vocal", "voice", "vox", "sing", "melod", "lead", "lyric")


@dataclass
class _Part:
    """The notes of one channel of one track: (first tick, last tick, MIDI pitch)."""

    name: str
    channel: int
    notes: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass
class _Events:
    """All that is read of a file, in ticks from its start."""

    parts: dict[tuple[int, int], _Part]
    lyrics: dict[int, list[tuple[int, bytes]]]
    """Of each track that has some."""
    tempo: TempoMap
    ticks_per_beat: float
    last_tick: int

    def seconds(self, tick: int) -> float:
        return self.tempo.seconds(tick / self.ticks_per_beat)


def read_midi(path: Path, options: ReadOptions = USUAL) -> ReadScore:
    """Raises InputError: not readable, no notes, several voices and none named, chords."""
    found = _events(path)
    texts, remarks = _decoded(found, path)
    key = _chosen(found, texts, options, path)
    part = found.parts[key]
    if sum(1 for other in found.parts.values() if other.notes) > 1:
        remarks.append(f"sung: track {key[0] + 1} {part.name!r}, channel {key[1] + 1}; another by --track")
    heard = [SungNote(found.seconds(a), found.seconds(b), float(midi)) for a, b, midi in part.notes]
    others = ", ".join(str(k + 1) for k in sorted({k for (k, _), p in found.parts.items() if p.notes and k != key[0]}))
    remedy = f"take another track (--track {others})" if others else "keep one note at a time"
    notes, told = one_voice(heard, found.tempo, options.highest, str(path), f"{remedy}, or the upper one (--highest)")
    remarks += told
    track = _lyrics_track(texts, notes, found)
    if track is None:
        return ReadScore(assemble(notes, found.seconds(found.last_tick), found.tempo), tuple(remarks))
    remarks += [
        f"lyrics of track {k + 1} are left out: those of track {track + 1} are sung" for k in texts if k != track
    ]
    sung, missed = _joined(notes, texts[track], found, options.language)
    remarks += missed
    return ReadScore(assemble(sung, found.seconds(found.last_tick), found.tempo), tuple(remarks))


def _events(path: Path) -> _Events:
    import mido

    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: {len(data)} bytes; MIDI files of at most {MAX_BYTES} bytes are read")
    try:
        file = mido.MidiFile(file=io.BytesIO(data), charset="latin-1", clip=True)
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path}: not readable as MIDI ({error or type(error).__name__}); export it again") from None
    if file.type == 2:
        raise InputError(f"{path}: MIDI of type 2 (independent patterns); need type 0 or 1: export it again")
    division = file.ticks_per_beat
    fixed = None
    if division < 0:  # SMPTE: frames a second and ticks a frame, whatever the tempo
        frames, ticks = -(division >> 8), division & 0xFF
        fixed = (30_000 / 1001 if frames == 29 else float(frames)) * ticks
    elif division == 0:
        raise InputError(f"{path}: 0 ticks a quarter note; need a time base: export it again")
    ticks_per_beat = fixed / 2 if fixed else float(division)  # two beats a second at 120
    parts: dict[tuple[int, int], _Part] = {}
    lyrics: dict[str, dict[int, list[tuple[int, bytes]]]] = {"lyrics": {}, "text": {}}
    tempos, meters, last_tick = {0: 500_000}, {0: (4, 4)}, 0
    for number, track in enumerate(file.tracks):
        tick, sounding = 0, dict[tuple[int, int], int]()
        for message in track:
            tick += message.time
            if message.type in ("note_on", "note_off"):
                part = parts.setdefault((number, message.channel), _Part(track.name.strip(), message.channel))
                begun = sounding.pop((message.channel, message.note), None)
                if begun is not None and tick > begun:
                    part.notes.append((begun, tick, message.note))
                if message.type == "note_on" and message.velocity > 0:
                    sounding[message.channel, message.note] = tick
            elif message.type in lyrics:
                lyrics[message.type].setdefault(number, []).append((tick, message.text.encode("latin-1")))
            elif message.type == "set_tempo" and not fixed:
                tempos[tick] = max(message.tempo, 1)
            elif message.type == "time_signature":
                meters[tick] = (message.numerator, message.denominator)
        for (channel, note), begun in sounding.items():
            if tick > begun:
                parts[number, channel].notes.append((begun, tick, note))
        last_tick = max(last_tick, tick)
    tempo = TempoMap(
        tempos=tuple(Tempo(beat=t / ticks_per_beat, bpm=min(6e7 / us, 10_000)) for t, us in sorted(tempos.items())),
        meters=tuple(
            Meter(beat=t / ticks_per_beat, numerator=a, denominator=b)
            for t, (a, b) in sorted(meters.items()) if 1 <= a <= 64 and 1 <= b <= 64
        ),
    )  # fmt: skip
    sung = lyrics["lyrics"] or {
        k: [(t, text) for t, text in held if not is_head(text.decode("latin-1"))] for k, held in lyrics["text"].items()
    }
    sung = {k: held for k, held in sung.items() if len(held) > 1 or lyrics["lyrics"]}
    return _Events(parts, sung, tempo, ticks_per_beat, last_tick)


def _decoded(found: _Events, path: Path) -> tuple[dict[int, list[tuple[int, str]]], list[str]]:
    """The lyrics as text: one encoding for all, which a file seldom names."""
    together = b"\n".join(text for held in found.lyrics.values() for _, text in held)
    _, encoding = decode_text(together, f"lyrics of {path}")
    plain = {k: [(tick, text.decode(encoding, "replace")) for tick, text in held] for k, held in found.lyrics.items()}
    return plain, [] if encoding == "utf-8" else [f"lyrics read as {encoding}, which is a guess"]


def _chosen(
    found: _Events, texts: Mapping[int, list[tuple[int, str]]], options: ReadOptions, path: Path
) -> tuple[int, int]:
    """The part that is sung: the one that was asked for; else that with the most lyrics; else the only one, or the only
    one that is called a voice."""
    parts = {key: part for key, part in found.parts.items() if part.notes}
    listed = "; ".join(f"{k + 1} {part.name!r} ({len(part.notes)} notes)" for (k, _), part in parts.items())
    if not parts:
        raise InputError(f"{path}: no notes in it; need a melody")
    if options.track is not None:
        asked = options.track.strip().lower()
        named = [key for key, part in parts.items() if asked in (str(key[0] + 1), part.name.lower())]
        if not named:
            raise InputError(f"{path}: no track {options.track!r} with notes; there are {listed}")
        return max(named, key=lambda key: _fitting(found, parts[key], texts))
    usual = {key: part for key, part in parts.items() if part.channel != _DRUMS} or parts
    fitting = {key: _fitting(found, part, texts) for key, part in usual.items()}
    best = max(fitting, key=lambda key: fitting[key])
    if fitting[best] > 0 or len(usual) == 1:
        return best
    voices = [key for key, part in usual.items() if any(name in part.name.lower() for name in _VOICE_NAMES)]
    if len(voices) != 1:
        raise InputError(f"{path}: {len(usual)} tracks with notes and no lyrics; say which is sung (--track): {listed}")
    return voices[0]


def _fitting(found: _Events, part: _Part, texts: Mapping[int, list[tuple[int, str]]]) -> int:
    """How many lyrics find a note of the part."""
    slack = found.ticks_per_beat * OVERLAP_BEATS
    starts = sorted(start for start, _, _ in part.notes)
    return max(
        (sum(_nearest(starts, tick, slack) is not None for tick, _ in held) for held in texts.values()), default=0
    )


def _nearest(starts: list[int], tick: float, slack: float) -> int | None:
    """The place of the start nearest to a tick, not further than `slack`."""
    at = bisect_left(starts, tick)
    near = [k for k in (at - 1, at) if 0 <= k < len(starts) and abs(starts[k] - tick) <= slack + 1e-6]
    return min(near, key=lambda k: abs(starts[k] - tick)) if near else None


def _lyrics_track(texts: Mapping[int, list[tuple[int, str]]], notes: list[SungNote], found: _Events) -> int | None:
    """Of several tracks with lyrics (a translation, a copy) the one that fits the notes best."""
    starts = [round(found.tempo.beats(note.start_s) * found.ticks_per_beat) for note in notes]
    slack = found.ticks_per_beat * OVERLAP_BEATS
    hits = {k: sum(_nearest(starts, tick, slack) is not None for tick, _ in held) for k, held in texts.items()}
    return max(hits, key=lambda k: hits[k]) if any(hits.values()) else None


def _joined(
    notes: list[SungNote], lyrics: list[tuple[int, str]], found: _Events, language: str
) -> tuple[list[SungNote], list[str]]:
    """The notes with their lyrics, each lyric once; and what lyrics found no note."""
    starts = [round(found.tempo.beats(note.start_s) * found.ticks_per_beat) for note in notes]
    slack = found.ticks_per_beat * OVERLAP_BEATS
    own: dict[int, tuple[float, Mark, int]] = {}
    lost: list[tuple[int, str]] = []
    line = 0
    marks = read_marks([text for _, text in lyrics])
    for (tick, text), mark in zip(lyrics, marks, strict=True):
        if mark.new_line and own:
            line += 1
        at = _nearest(starts, tick, slack)
        if at is None or (at in own and not mark.hold):
            lost.append((tick, text))
        elif at not in own:
            own[at] = (tick, mark, line)
    sung = []
    for number, note in enumerate(notes):
        if number not in own:
            sung.append(note)
            continue
        _, mark, line = own[number]
        midi = None if mark.spoken else note.midi
        sung.append(SungNote(
            note.start_s, note.end_s, midi, mark.text, mark.hold, mark.joins, line, language,
        ))  # fmt: skip
    said = ", ".join(f"{text.strip()!r} at {found.seconds(tick):.2f} s" for tick, text in lost[:5])
    return sung, [f"{len(lost)} lyrics have no note of their own: {said}"] if lost else []
