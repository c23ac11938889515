"""Speech and a score, or a melody -> the speech's words sung: out.wav, and .lrc, .TextGrid, .mid and .pitch.csv beside.

Words are the score's own, those given, or those that Whisper hears. They are looked for in the speech; on notes that
have no words they are laid syllable by syllable. What does not fit is told.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from autosing.audio.io import decode
from autosing.audio.pitch import load_tracker
from autosing.config import Config
from autosing.console import counting
from autosing.device import device_here
from autosing.errors import InputError
from autosing.models.content import SAMPLE_RATE_HZ, load_content
from autosing.score.change import transposed
from autosing.score.hummed import notes_of_melody
from autosing.score.lay import laid, melody_of_notes
from autosing.score.score import Score
from autosing.songs.compose import compose
from autosing.speech.listener import HeardWords, Listener, ListenerConfig
from autosing.timebase import PITCH_RATE_HZ
from inference.files import check_rate, writing
from inference.provenance.origin import Origin, digests_of
from inference.provenance.sound import write_sound
from inference.render import RenderFiles, checked_outputs, write_sung
from inference.score_file import FileOptions, lyric_lines, read_score
from inference.voice.engine import EngineConfig, num_samples, render
from inference.voice.load import check_voice, load_speech_voice
from inference.voice.pitch import shifted
from inference.voice.pitch_csv import count_rows, read_pitch_csv
from inference.voice.score_song import num_pitches
from inference.voice.singers import Voice, voice_of
from inference.voice.speech_song import hear, song_of_speech, timed

MADE_BY = "autosing speech-to-singing"
_LEAST_S = 0.3
_QUIET = 1e-3


class SpeechConfig(Config):
    """What may be chosen of singing speech."""

    engine: EngineConfig = EngineConfig()
    score: FileOptions = FileOptions()
    listener: ListenerConfig = ListenerConfig()
    shift: float = 0.0
    """Semitones, fractions too: of the notes, or of the melody."""
    vibrato: float = Field(default=1.0, ge=0, le=4)
    """Its depth, in that of the singer's own; 0: none."""
    consonants: float = Field(default=1.25, ge=0.2, le=4)
    """So many times as long as they are spoken, where the score does not say when phones sound. In lines of made songs
    it is 1.24 in the median."""
    vocoder: Path | None = None
    """A run of 'autosing train vocoder', for a model in the space log_mel."""
    content_files: dict[str, str] = Field(default_factory=dict)
    """Content encoder -> its file of weights, where the model was trained with one of the user's own."""
    watermark: bool = True
    """Where its package is installed (see docs/provenance.md)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class SpeechRequest:
    """One song: on a score, a melody or a pitch; with a score, `pitch` is sung in place of the model's own. Without any
    of them a tune is composed, another for each seed of the sampling."""

    model: Path
    speech: Path
    out: Path
    score: Path | None = None
    melody: Path | None = None
    """A recording that was hummed or sung."""
    pitch: Path | None = None
    """CSV of time_s, hz, voiced."""
    lyrics: str | None = None
    voice: Voice | None = None
    """Who sings; None: who speaks."""
    singer_at: Callable[[float], np.ndarray] | None = None
    config: SpeechConfig = field(default_factory=SpeechConfig)
    force: bool = False
    read: Mapping[str, Path] = field(default_factory=dict)
    """Option -> another file that was read for this, which must not be replaced either."""

    @property
    def inputs(self) -> dict[str, Path]:
        """Option -> file or run that is read."""
        named = {
            "--model": self.model, "--speech": self.speech, "--score": self.score, "--melody": self.melody,
            "--pitch": self.pitch, "--vocoder": self.config.vocoder,
        }  # fmt: skip
        return {**{option: path for option, path in named.items() if path}, **self.read}


def sing_speech(request: SpeechRequest) -> dict[str, Any]:
    """The files; returns a summary row.

    Raises InputError before anything is written: no model, nothing that sounds or no word in the speech, a score or
    melody that cannot be read, an output that would replace a file of somebody else's.
    """
    started, config = time.perf_counter(), request.config
    files, device = check_files(request), device_here(config.device)
    audio_S = _speech(request.speech)
    f0_hz_T = _melody(request, device)
    listener = Listener(config.listener, device)
    voice = request.voice or voice_of(request.speech.stem, [request.speech], device)
    score, remarks = _score(request, listener, audio_S, f0_hz_T, voice)
    model = load_speech_voice(request.model, device, config.vocoder)
    rate = model.spec.sample_rate_hz
    check_rate(files.audio, rate)
    content = load_content(model.content, config.content_files, device)
    spoken = listener.place(score, audio_S)
    remarks += unheard(score, spoken)
    score = timed(score, spoken.score, config.consonants)
    if request.score is not None and request.pitch is not None:
        f0_hz_T = read_pitch_csv(request.pitch, num_pitches(score.duration_s))
    sung = song_of_speech(
        model, score, hear(audio_S, spoken.score, content, device), voice.vector_E, config.vibrato, request.singer_at,
        f0_hz_T, "as_it_stands" if request.score is not None else "where_voiced",
    )  # fmt: skip
    row = {
        "speech": str(request.speech), "file": str(request.out), "singer": voice.name, "words": len(score.words),
        "notes": len(score.notes), "seconds": round(score.duration_s, 3), "samples": num_samples(sung.song, model),
        "sample_rate_hz": rate,
    }  # fmt: skip
    digests = digests_of({check_voice(request.model, "speech-to-singing"): request.model, "vocoder": config.vocoder})
    origin = Origin(MADE_BY, digests, config.engine.sampling.seed)
    with writing(files) as under_way:
        blocks = (block_S[None] for block_S in render(model, sung.song, config.engine, counting("sung", "s")))
        tags = write_sound(under_way.at(files.audio), blocks, rate, 1, origin, config.watermark)
        write_sung(sung, files, under_way)
        row["wall_s"] = round(time.perf_counter() - started, 2)
        under_way.commit({
            "model": str(request.model), "config": config.dump(), **row, "remarks": remarks, "tags": tags,
            "text": " / ".join(" ".join(word.text for word in line) for line in score.lines),
            "singer_sha256": hashlib.sha256(voice.vector_E.tobytes()).hexdigest(),
        })  # fmt: skip
    return row | ({"remarks": "; ".join(remarks)} if remarks else {})


def unheard(score: Score, spoken: HeardWords) -> list[str]:
    """What to say of words that are not in the speech."""
    lacking = [word.text for word, sure in zip(score.words, spoken.found_W, strict=True) if sure == 0]
    if not lacking:
        return []
    if len(lacking) == len(score.words):
        raise InputError(
            f"--speech: none of the {len(lacking)} words ({' '.join(lacking[:6])} ...) is spoken in it; give the words "
            "that are, by --lyrics"
        )
    shown = ", ".join(lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
    return [f"not heard in the speech, sung by guess: {shown}"]


def _speech(path: Path) -> np.ndarray:
    """audio_S at 16 kHz. Raises InputError where it is too short or silent."""
    audio = decode(path).resampled(SAMPLE_RATE_HZ)
    audio_S = np.ascontiguousarray(audio.mono_S(), np.float32)
    if audio.duration_s < _LEAST_S:
        raise InputError(f"--speech {path}: {audio.duration_s:.2f} s of sound, need {_LEAST_S} s", "too_short")
    if np.abs(audio_S).max() < _QUIET:
        raise InputError(f"--speech {path}: all below -60 dBFS; need somebody who speaks", "silent")
    return audio_S


def _melody(request: SpeechRequest, device: str) -> np.ndarray | None:
    """f0_hz_T that is sung, where a melody or a pitch alone is given."""
    shift = request.config.shift
    if request.melody is not None:
        audio = decode(request.melody)
        f0_hz_T = load_tracker("fcpe", device)(audio.mono_S(), audio.sample_rate_hz)
        if not (f0_hz_T > 0).any():
            raise InputError(f"--melody {request.melody}: no pitch in {audio.duration_s:.1f} s; hum louder, or nearer")
        return shifted(f0_hz_T, shift)
    if request.score is None and request.pitch is not None:
        return shifted(read_pitch_csv(request.pitch, count_rows(request.pitch)), shift)
    return None


def _score(
    request: SpeechRequest, listener: Listener, audio_S: np.ndarray, f0_hz_T: np.ndarray | None, voice: Voice
) -> tuple[Score, list[str]]:
    """What is to be sung, its phones perhaps without times; and what a person should know of it."""
    config = request.config
    lines = None if request.lyrics is None else lyric_lines(request.lyrics)
    language, remarks, melody = config.score.language, list[str](), None
    if request.score is not None:
        melody, told = read_score(request.score, config.score, words=lines is None)
        melody, remarks = transposed(melody, config.shift), list(told)
        if lines is None and melody.phones:
            return melody, remarks
    elif f0_hz_T is not None:
        melody = melody_of_notes(notes_of_melody(f0_hz_T), max(1.0, len(f0_hz_T)) / float(PITCH_RATE_HZ))
    if lines is None:
        known = None if language == "und" else language
        lines, language = listener.words(audio_S, known, request.speech.name)
        remarks.append(f"words as they were heard: {' / '.join(lines)}")
    if melody is None:
        tune = compose(lines, language, voice.middle_hz, config.engine.sampling.seed)
        return transposed(tune.score, config.shift), remarks
    found = laid(lines, language, melody)
    return found.score, [*remarks, *found.remarks]


def check_files(request: SpeechRequest) -> RenderFiles:
    """Raises InputError where an input is not there, two say what is sung, or an output cannot be or would
    replace what is not ours."""
    check_voice(request.model, "speech-to-singing")
    if request.melody and (request.score or request.pitch):
        raise InputError(
            "give one of --score, --melody and --pitch: on which notes the words are sung; --score may have a --pitch"
        )
    for option, path in request.inputs.items():
        if option in ("--speech", "--score", "--melody", "--pitch") and not path.is_file():
            raise InputError(f"{option} {path}: no such file")
    return checked_outputs(request.out, request.pitch, request.inputs, request.force, MADE_BY)
