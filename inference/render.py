"""A score and a singer -> files: out.wav, and what was sung as out.lrc, out.TextGrid, out.mid and out.pitch.csv."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from autosing.audio.io import Audio
from autosing.config import Config
from autosing.console import counting
from autosing.device import device_here
from autosing.errors import InputError
from autosing.score.change import in_tempo, transposed, without_times
from autosing.score.cut import cut
from autosing.score.formats.midi_write import write_midi
from autosing.score.formats.textgrid import write_textgrid
from autosing.score.score import Score
from autosing.songs.compose import Tune, accompaniment, compose
from autosing.text.lrc import LrcLine, LrcWord, write_lrc
from inference.files import (
    FORMATS,
    Writing,
    check_inputs,
    check_owned,
    check_rate,
    check_writable,
    vocals_of,
    writing,
)
from inference.mix import Mix, lay_over
from inference.provenance.origin import Origin, digests_of
from inference.provenance.sound import write_sound
from inference.score_file import FileOptions, lyric_lines, read_score
from inference.voice.engine import EngineConfig, num_samples, render
from inference.voice.load import check_voice, load_score_voice
from inference.voice.pitch import Range, key_semitones, octaves, shifted
from inference.voice.pitch_csv import read_pitch_csv, write_pitch_csv
from inference.voice.score_song import ScoreSong, num_pitches, song_of
from inference.voice.singers import Voice

MADE_BY = "autosing render"
_BEYOND_SEMITONES, _MUCH_OUTSIDE = 2.0, 0.2
"""What is told: more of the notes' time than that lies so far beyond what the singer usually sings."""


class RenderConfig(Config):
    """What may be chosen of a rendering."""

    engine: EngineConfig = EngineConfig()
    score: FileOptions = FileOptions()
    shift: float = 0.0
    """Semitones, fractions too, on top of the key."""
    key: Literal["keep", "octave", "auto"] = "keep"
    """Into the singer's range: by whole octaves, as fits what else plays, or by whole semitones."""
    tempo_factor: float = Field(default=1.0, ge=0.25, le=4)
    """So many times as fast; consonants last as long as ever."""
    from_s: float = Field(default=0.0, ge=0)
    """Seconds of the score, as written: what lies before is left out."""
    to_s: float | None = Field(default=None, gt=0)
    vibrato: float = Field(default=1.0, ge=0, le=4)
    """Its depth, in that of the singer's own; 0: none."""
    own_times: bool = True
    """Phones that have times in the score keep them; else the model says how long consonants last."""
    band: bool = False
    """Lay the voice over a band that plays the chords of the tune that was composed."""
    vocoder: Path | None = None
    """A run of 'autosing train vocoder', for a model in the space log_mel."""
    watermark: bool = True
    """Where its package is installed (see docs/provenance.md)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class RenderRequest:
    """One rendering."""

    model: Path
    score: Path | None
    """None: a tune is composed for `lyrics`, another for each seed of the sampling."""
    out: Path
    voice: Voice
    lyrics: str | None = None
    """Sung in place of the score's own words."""
    singer_at: Callable[[float], np.ndarray] | None = None
    """Who sings over time; curves are drawn as `voice` sings."""
    pitch: Path | None = None
    """CSV that is sung in place of the model's own pitch, as it stands there: `shift` does not move it."""
    config: RenderConfig = field(default_factory=RenderConfig)
    force: bool = False
    """Also replace files that 'autosing render' did not write."""
    read: Mapping[str, Path] = field(default_factory=dict)
    """Option -> another file that was read for this, which must not be replaced either."""

    @property
    def inputs(self) -> dict[str, Path]:
        """Option -> file or run that is read."""
        named = {
            "--model": self.model, "--score": self.score, "--pitch": self.pitch, "--vocoder": self.config.vocoder,
        }  # fmt: skip
        return {**{option: path for option, path in named.items() if path}, **self.read}


@dataclass(frozen=True)
class RenderFiles:
    """What one rendering writes."""

    audio: Path
    pitch: Path | None
    """None: it is given in its place, and stays as the user wrote it."""
    vocals: Path | None = None
    """The voice alone, where the audio is a mix."""
    made_by: str = MADE_BY

    @classmethod
    def of(cls, out: Path, pitch: Path | None = None, made_by: str = MADE_BY, mixed: bool = False) -> "RenderFiles":
        own = out.with_suffix(".pitch.csv")
        kept = None if pitch is not None and own.exists() and own.samefile(pitch) else own
        return cls(out, kept, vocals_of(out) if mixed else None, made_by)

    @property
    def lyrics(self) -> Path:
        return self.audio.with_suffix(".lrc")

    @property
    def textgrid(self) -> Path:
        return self.audio.with_suffix(".TextGrid")

    @property
    def midi(self) -> Path:
        return self.audio.with_suffix(".mid")

    @property
    def record(self) -> Path:
        return self.audio.with_suffix(".json")

    def __iter__(self) -> Iterator[Path]:
        yield from (self.audio, self.lyrics, self.textgrid, self.midi)
        yield from (path for path in (self.pitch, self.vocals) if path)


def render_score(request: RenderRequest) -> dict[str, Any]:
    """The files; returns a summary row.

    Raises InputError before anything is written: no model, a score that cannot be read or has several voices, words
    that do not fit its notes, an output that would replace a file of somebody else's.
    """
    started, config = time.perf_counter(), request.config
    files = check_files(request)
    score, remarks, tune = _score(request)
    score, moved, outside = in_key(chosen(score, config), request.voice.range, config.key)
    remarks = (*remarks, *outside)
    f0_hz_T = read_pitch_csv(request.pitch, num_pitches(score.duration_s)) if request.pitch else None
    model = load_score_voice(request.model, device_here(config.device), config.vocoder)
    rate = model.spec.sample_rate_hz
    check_rate(files.audio, rate)
    sung = song_of(model, score, request.voice.vector_E, config.vibrato, request.singer_at, f0_hz_T)
    row = {
        "score": str(request.score or "composed"), "file": str(request.out), "singer": request.voice.name,
        "words": len(score.words), "notes": len(score.notes), "seconds": round(score.duration_s, 3),
        "key": moved + config.shift, "samples": num_samples(sung.song, model), "sample_rate_hz": rate,
    }  # fmt: skip
    digests = digests_of({check_voice(request.model, "render"): request.model, "vocoder": config.vocoder})
    origin = Origin(MADE_BY, digests, config.engine.sampling.seed)
    with writing(files) as under_way:
        blocks: Iterator[np.ndarray] = (
            block_S[None] for block_S in render(model, sung.song, config.engine, counting("sung", "s"))
        )
        channels = 1
        if files.vocals and tune:
            mixed = _with_band(np.concatenate(list(blocks), axis=1), rate, tune, config)
            alone = iter([mixed.vocals.samples_CS])
            write_sound(under_way.at(files.vocals), alone, rate, 1, origin, config.watermark)
            blocks, channels = iter([mixed.mix.samples_CS]), 2
        tags = write_sound(under_way.at(files.audio), blocks, rate, channels, origin, config.watermark)
        write_sung(sung, files, under_way)
        row["wall_s"] = round(time.perf_counter() - started, 2)
        under_way.commit({
            "model": str(request.model), "config": config.dump(), **row, "remarks": list(remarks), "tags": tags,
            "singer_sha256": hashlib.sha256(request.voice.vector_E.tobytes()).hexdigest(),
        })  # fmt: skip
    return row | ({"remarks": "; ".join(remarks)} if remarks else {})


def _score(request: RenderRequest) -> tuple[Score, tuple[str, ...], Tune | None]:
    """(what shall be sung, remarks, the tune if it was composed).

    Raises InputError where nothing is given, or a band has no chords to play.
    """
    config = request.config
    if config.band and (request.score or (config.shift, config.from_s, config.to_s) != (0.0, 0.0, None)):
        raise InputError(
            "--band: a band plays tunes that are composed for --lyrics, whole and in their key; leave out --score, "
            "--shift, --from and --to"
        )
    if request.score is not None:
        return *read_score(request.score, config.score, request.lyrics), None
    if request.lyrics is None:
        raise InputError("render: neither --score nor --lyrics; give a score, or words to compose a tune for")
    lines, seed = lyric_lines(request.lyrics), config.engine.sampling.seed
    tune = compose(lines, config.score.language, request.voice.middle_hz, seed)
    return tune.score, (), tune


def _with_band(vocals_CS: np.ndarray, rate: int, tune: Tune, config: RenderConfig) -> Mix:
    band = accompaniment(tune, rate, vocals_CS.shape[1], config.tempo_factor, config.engine.sampling.seed)
    return lay_over(Audio(vocals_CS, rate), band, None)


def write_sung(sung: ScoreSong, files: RenderFiles, under_way: Writing) -> None:
    """What lies beside the sound: words, phones, notes and pitch."""
    under_way.at(files.lyrics).write_text(lrc_of(sung.score), encoding="utf-8")
    write_textgrid(sung.score, under_way.at(files.textgrid))
    write_midi(sung.score, under_way.at(files.midi))
    if files.pitch:
        write_pitch_csv(sung.song.f0_hz_T, under_way.at(files.pitch))


def chosen(score: Score, config: RenderConfig) -> Score:
    """The part of the score that is sung, as high and as fast as asked. Raises InputError where nothing is left."""
    end_s = score.duration_s if config.to_s is None else min(config.to_s, score.duration_s)
    if (config.from_s, end_s) != (0.0, score.duration_s):
        if config.from_s >= end_s:
            raise InputError(f"--from {config.from_s:g}: the score's part would end at {end_s:g} s; need one before")
        score = cut(score, config.from_s, end_s)
    if not score.phones:
        raise InputError(
            f"score: no words from {config.from_s:g} to {end_s:g} s, so there is nothing to sing; give a score with "
            "lyrics, or --lyrics"
        )
    if config.tempo_factor != 1 or not config.own_times:
        score = without_times(score)
    return in_tempo(transposed(score, config.shift), config.tempo_factor)


def in_key(score: Score, singer: Range | None, key: Literal["keep", "octave", "auto"]) -> tuple[Score, int, list[str]]:
    """(the score moved into the singer's range where `key` says so, by how many semitones, a remark where much of it is
    out of that range)."""
    written_hz_T = hz_of_notes(score)
    move = {"keep": lambda *_: 0, "octave": octaves, "auto": key_semitones}[key]
    semitones = move(Range.of(written_hz_T), singer)
    if singer is None or not len(written_hz_T):
        return score, 0, []
    sung_hz_T, around = shifted(written_hz_T, semitones), 2 ** (_BEYOND_SEMITONES / 12)
    outside = float(((sung_hz_T < singer.low_hz / around) | (sung_hz_T > singer.high_hz * around)).mean())
    advice = "" if key == "auto" else "; --key auto moves the song there" if key == "octave" else "; see --key"
    usual = f"{singer.low_hz:.0f} to {singer.high_hz:.0f} Hz"
    said = f"{outside:.0%} of the notes' time lies out of this singer's usual {usual}"
    return transposed(score, semitones), semitones, [said + advice] if outside > _MUCH_OUTSIDE else []


def hz_of_notes(score: Score) -> np.ndarray:
    """The notes' pitch at 100 Hz, one after another."""
    pitched = [(440 * 2 ** ((note.midi - 69) / 12), note.duration_s) for note in score.notes if note.midi is not None]
    return np.concatenate([np.zeros(0), *(np.full(round(duration_s * 100), hz) for hz, duration_s in pitched)])


def lrc_of(score: Score) -> str:
    """Lines and words with the times at which their first vowels' notes start."""
    starts_s: dict[int, float] = {}
    ends_s: dict[int, float] = {}
    for note in score.notes:
        if note.syllable is not None:
            word = score.syllables[note.syllable].word
            starts_s.setdefault(word, note.start_s)
            ends_s[word] = note.end_s
    rows, number = [], 0
    for line in score.lines:
        words = [(number + k, word) for k, word in enumerate(line)]
        number += len(line)
        timed = [LrcWord(word.text, starts_s[k]) for k, word in words if k in starts_s]
        text = " ".join(word.text for word in line)
        end_s = max((ends_s[k] for k, _ in words if k in ends_s), default=None)
        rows.append(LrcLine(text, timed[0].start_s if timed else None, tuple(timed), end_s))
    return write_lrc(rows)


def check_files(request: RenderRequest) -> RenderFiles:
    """Raises InputError where an input is not there, or an output cannot be or would replace what is not ours."""
    check_voice(request.model, "render")
    for option, path in (("--score", request.score), ("--pitch", request.pitch)):
        if path is not None and not path.is_file():
            raise InputError(f"{option} {path}: no such file")
    return checked_outputs(
        request.out, request.pitch, request.inputs, request.force, MADE_BY, mixed=request.config.band
    )


def checked_outputs(
    out: Path, pitch: Path | None, inputs: Mapping[str, Path], force: bool, made_by: str, mixed: bool = False
) -> RenderFiles:
    """`inputs`: see check_inputs. Raises InputError: an odd ending, a folder that cannot be written, an input that
    would be replaced, or files of others (unless `force`)."""
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"--out {out}: ends in {out.suffix or 'nothing'!r}, need {', '.join(FORMATS)}")
    files = RenderFiles.of(out, pitch, made_by, mixed)
    check_writable(out)
    check_inputs(files, inputs)
    check_owned(files, force)
    return files
