"""song -> clips: the best disjoint windows of singing, never cut inside a word, if its words or its score are known."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from pydantic import Field

from autosing.audio.blocks import Tape
from autosing.audio.encoded import Encoded, FileBytes, Scratch, Stem
from autosing.audio.io import Audio, AudioReader, encode
from autosing.config import Config
from autosing.errors import InputError
from autosing.ids import clip_id
from autosing.schemas.base import Float32s
from autosing.schemas.tables import Clip, Line, LyricLine, Word
from autosing.score.cut import cut, word_spans
from autosing.score.score import Score
from autosing.stage import Rejected, Stage
from autosing.text.normalize import join_words
from autosing.text.spans import ROUNDING_S, lies_inside, on_window
from processing.activity import RATE_HZ, STEP_MS, covered, singing_activity, sung_before_ms
from processing.windows import choose_windows, cut_times

Span = TypeVar("Span", Line, Word)
_UNDETERMINED = "und"
"""ISO 639's code for a song whose language nobody named and `align` did not detect."""


class SegmentConfig(Config):
    """Which windows of a song become clips."""

    min_s: float = Field(5.0, ge=0.5)
    """Shortest clip. A song shorter than this becomes one clip, if there is enough singing."""
    max_s: float = Field(30.0, le=600)
    """Longest clip."""
    min_singing_fraction: float = Field(0.4, ge=0, le=1)
    """A window with less singing does not become a clip."""
    min_singing_s: float = Field(1.0, ge=0)
    """A song with less singing in total is rejected."""
    below_loud_db: float = Field(30.0, gt=0)
    """A voice further than this below the loud parts of the mix is not singing, but what the separator left over."""
    periodicity: float = Field(0.5, gt=0, lt=1)
    """A frame counts as voiced from this normalised autocorrelation on."""
    audio_format: Literal["flac", "wav", "ogg", "opus", "mp3"] = "flac"

    def model_post_init(self, _: object) -> None:
        if self.min_s > self.max_s:
            raise InputError(f"segment: min_s {self.min_s} is above max_s {self.max_s}; need min_s <= max_s")


@dataclass(frozen=True)
class Aligned:
    """A song with its stems and when its words are sung; None if they were not aligned."""

    id: str
    language: str | None
    lines: list[LyricLine] | None
    words: list[Word] | None
    vocals: Stem
    instrumental: Stem | None
    artist: str | None
    licence: str | None
    score: str | None = None
    speech: Encoded | None = None
    speech_times_s: Float32s | None = None


class Segment(Stage[Aligned, Clip]):
    """Chooses the cuts by dynamic programming; a song gives one clip or more, or is rejected.

    Without `align` clips have no words: enough for models that learn from sound. It then cuts by singing alone, or
    between the words of the song's score: a held vowel may fade out where no singing is found any more.
    """

    name = "segment"
    version = 3
    reads = ("align", "separate", "index")
    optional = ("align",)
    takes = Aligned
    gives = Clip
    Settings = SegmentConfig
    config: SegmentConfig

    def apply(self, row: Aligned) -> list[Clip] | Rejected:
        config = self.config
        sung_T, duration_s = self._sung(row)
        sung_s = float(sung_T.sum()) * STEP_MS / 1000
        if sung_s < config.min_singing_s:
            found = f"{sung_s:.2f} s of singing in {duration_s:.1f} s, need {config.min_singing_s:g} s"
            return Rejected(row.id, "no_singing", found)
        lines, lyrics = lead(row.lines or [], row.words or [])
        words = [word for word in lyrics if lines[word.line].fits]
        # A separator removes parts of some voices (bass: a quarter of the frames). A word that fits proves singing.
        sung_T = sung_T | covered(_spans_ms(_spans(words)), len(sung_T))
        score = None if row.score is None else Score.from_json(row.score, f"score of {row.id}")
        scored = [] if score is None else list(word_spans(score).values())
        times_ms, cost_ms = cut_times(
            int(duration_s * 1000),
            _spans_ms([*_spans(words), *scored]),
            _spans_ms(_spans([line for line in lines if line.fits])),
            sung_T,
            STEP_MS,
        )
        sung_ms = sung_before_ms(sung_T, times_ms)
        windows = choose_windows(
            times_ms, sung_ms, cost_ms, round(config.min_s * 1000), round(config.max_s * 1000),
            config.min_singing_fraction,
        )  # fmt: skip
        if not windows:
            found = f"{sung_s:.1f} s of singing in {duration_s:.1f} s: no window of {config.min_s:g} to "
            return Rejected(
                row.id, "no_window", f"{found}{config.max_s:g} s is sung for {config.min_singing_fraction:.0%}"
            )
        clips, scratch = [], Scratch()
        with _Cutter(row.vocals) as voice, _Cutter(row.instrumental) as music:
            for i, j in windows:
                start_s, end_s = float(times_ms[i] / 1000), float(times_ms[j] / 1000)
                fraction = float((sung_ms[j] - sung_ms[i]) / (times_ms[j] - times_ms[i]))
                vocals, rest = (self._cut(stem, start_s, end_s, scratch) for stem in (voice, music))
                here = rebase(lines, lyrics, start_s, end_s)
                clips.append(_clip(row, vocals, rest, start_s, end_s, fraction, score, *here))
        return clips

    def _sung(self, row: Aligned) -> tuple[np.ndarray, float]:
        """(sung_T, the song's seconds), computed block by block."""
        with ExitStack() as files:
            vocals, *rest = (
                files.enter_context(AudioReader(stem, f"{name} of {row.id}"))
                for name, stem in (("vocals", row.vocals), ("instrumental", row.instrumental))
                if stem is not None
            )
            voice, *music = (stem.mono_blocks(RATE_HZ) for stem in (vocals, *rest))
            config, mix = self.config, music[0] if music else None
            return singing_activity(voice, mix, config.below_loud_db, config.periodicity), vocals.read_s

    def _cut(self, stem: "_Cutter", start_s: float, end_s: float, scratch: Scratch) -> FileBytes | None:
        """A song's clips together may be as long as the song: they are kept in a file until their table is written."""
        found = stem.cut(start_s, round(end_s - start_s, 3))
        return None if found is None else scratch.put([encode(found, self.config.audio_format)])


def _clip(
    row: Aligned,
    vocals: Encoded | None,
    rest: Encoded | None,
    start_s: float,
    end_s: float,
    fraction: float,
    score: Score | None,
    lines: list[Line],
    words: list[Word],
) -> Clip:
    assert vocals is not None, row.id
    return Clip(
        id=clip_id(row.id, start_s),
        song=row.id,
        singer=row.artist,
        language=row.language or _UNDETERMINED,
        licence=row.licence,
        start_s=start_s,
        duration_s=round(end_s - start_s, 3),
        singing_fraction=fraction,
        vocals=vocals,
        instrumental=rest,
        lines=lines,
        words=words,
        score=None if score is None else cut(score, start_s, end_s).to_json().decode(),
        speech=row.speech,
        speech_times_s=row.speech_times_s,
    )


class _Cutter:
    """Cuts windows out of encoded audio, in order of their starts; one is in memory. Without audio it gives None."""

    def __init__(self, data: Stem | None) -> None:
        self._reader = None if data is None else AudioReader(data)
        self._at = 0

    def __enter__(self) -> "_Cutter":
        if self._reader is not None:
            self._tape = Tape(block_SC.T for block_SC in self._reader.blocks())
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.__exit__()

    def cut(self, start_s: float, duration_s: float) -> Audio | None:
        """The same as `Audio.cut` of the whole."""
        if self._reader is None:
            return None
        rate = self._reader.sample_rate_hz
        first, count = round(start_s * rate), round(duration_s * rate)
        self._tape.pass_over(first - self._at)
        self._at = first
        return Audio(self._tape.look(count), rate)


def lead(lines: list[LyricLine], words: list[Word]) -> tuple[list[Line], list[Word]]:
    """The lines that are sung in their turn, and their words; what nobody sings, or sings beside them, is left out."""
    numbers = [number for number, line in enumerate(lines) if line.kind == "sung"]
    place = {number: k for k, number in enumerate(numbers)}
    sung = [
        Line(line.text, line.start_s, line.end_s, line.score, line.fits) for line in map(lines.__getitem__, numbers)
    ]
    return sung, [replace(word, line=place[word.line]) for word in words if word.line in place]


def rebase(lines: list[Line], words: list[Word], start_s: float, end_s: float) -> tuple[list[Line], list[Word]]:
    """The lines and words wholly inside [start, end], in the window's own time, words pointing at their new lines.

    If a line is cut, its words inside become a line of their own, so that the clip's lyrics are what is sung in it. A
    word that is cut is dropped.
    """
    inside = [word for word in words if lies_inside(word, start_s, end_s, ROUNDING_S)]
    kept: dict[int, Line] = {}
    for number, line in enumerate(lines):
        own = [word for word in words if word.line == number]
        here = [word for word in inside if word.line == number]
        if lies_inside(line, start_s, end_s, ROUNDING_S) and len(own) == len(here):
            kept[number] = line
        elif here:
            text = join_words(word.text for word in here)
            kept[number] = replace(line, text=text, start_s=here[0].start_s, end_s=here[-1].end_s)
    place = {number: k for k, number in enumerate(kept)}
    length_s = end_s - start_s
    return (
        [_rounded(line) for line in on_window(kept.values(), start_s, length_s)],
        [replace(_rounded(word), line=place[word.line]) for word in on_window(inside, start_s, length_s)],
    )


def _rounded(span: Span) -> Span:
    return replace(span, start_s=round(span.start_s, 4), end_s=round(span.end_s, 4))


def _spans(items: list[Word] | list[Line]) -> list[tuple[float, float]]:
    return [(item.start_s, item.end_s) for item in items]


def _spans_ms(spans_s: list[tuple[float, float]]) -> np.ndarray:
    """Starts and ends in ms, [N, 2]. An end before its start (a bad alignment) becomes its start."""
    spans = np.array(spans_s).reshape(-1, 2)
    starts = np.round(spans[:, 0] * 1000).astype(np.int64)
    return np.stack([starts, np.maximum(np.round(spans[:, 1] * 1000).astype(np.int64), starts)], axis=1)
