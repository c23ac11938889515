"""The user's options -> a resolved request: files decoded, lyrics timed, window checked, before any model runs.

`open_inputs` decodes the files that all songs of one command share; `resolve` then prepares one song.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from autosing.audio.io import Audio, decode
from autosing.config import Config, load_config
from autosing.console import note
from autosing.errors import InputError
from autosing.generation.acoustic import Scale
from autosing.generation.sampling import Sampling
from autosing.models.separation import SeparatorConfig
from autosing.models.sm2a import SM2A
from autosing.models.t2s import T2S
from inference.lyrics_plan import (
    MAX_LENGTH_S,
    MIN_LENGTH_S,
    AskedLine,
    can_be_a_path,
    lay_out,
    lyrics_file,
    needed_s,
    read_lyrics,
    window,
)
from inference.sources import Source, open_source
from inference.voice.singers import Voice, named_voice, unknown_voice, voices_of_model, voices_of_run


class SingConfig(Config):
    """How to sing; every field has an option of `autosing sing` and can be set in a YAML file."""

    start_s: float = Field(default=0.0, ge=0)
    """Where in the reference the singing starts. Times in LRC lyrics are the reference's own."""
    length_s: float | None = Field(default=None, ge=MIN_LENGTH_S, le=MAX_LENGTH_S)
    """How long the output is, to the sample; None: as long as the lyrics need, within the reference."""
    seed: int = Field(default=0, ge=0)
    semantic: Sampling = Sampling()
    """Sampling of the semantic codes (t2s); its seed is combined with `seed`."""
    acoustic: Sampling = Sampling()
    """Sampling of the codec codes (sm2a); its seed is combined with `seed`."""
    scale: Scale | None = None
    """fine: one code a step. coarse: all codes of a block in one step, about four times faster. None: fine, where the
    model was trained for it."""
    candidates: int | None = Field(default=None, ge=1, le=64)
    """None: as many as is usual of the t2s, of which the best is kept; one, where all are to be kept."""
    keep: Literal["all", "best"] | None = None
    """best: each line as the candidate sings it in which it is clearest (inference.takes); of content that is given,
    the candidate whose audio, tokenised again, gives most of its semantic codes. None: all, if `candidates` is
    given."""
    singer_mix: float = Field(default=1.0, ge=0, le=1)
    """0: the reference's singer. 1: the singer of the `singer` file. Between: interpolated."""
    music: bool = True
    """False: a cappella; the models get no music, and none is mixed in."""
    music_gain_db: float = Field(default=0.0, ge=-60, le=24)
    """Gain of the instrumental, relative to the reference's balance of voice and music."""
    in_key: float = Field(default=10.0, ge=0)
    """What is taken off the logits of pitches that lie off the scale of the instrumental's key by half a semitone or
    more. 0: as the model sings. It needs music, and a codec with a level of pitch."""
    separation: SeparatorConfig = SeparatorConfig()
    """separator none: the reference is an instrumental without a singer."""
    context_s: float = Field(default=60.0, gt=0)
    """Shortest part of the reference around the window that is separated, to measure singer and balance."""
    sample_rate_hz: int | None = Field(default=None, ge=8000, le=192_000)
    """Sample rate of the files; None: the codec's."""
    watermark: bool = True
    """Of the files, where its package is installed (see docs/provenance.md)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where models, codec, tokeniser, separator and speaker encoder run; auto: on a GPU where there is one.
    `separation.device`, where it is not auto, overrides it for the separator."""

    @property
    def drawn(self) -> int:
        """How many takes are sung, where no usual number is known."""
        return self.candidates or 1

    @property
    def kept(self) -> int:
        """How many takes are kept."""
        return 1 if self.keep == "best" else self.drawn


SAMPLING_OPTIONS = ("temperature", "top_k", "top_p", "min_p", "guidance_text", "guidance_music", "guidance_singer")
"""Options that set the sampling of both semantic and codec codes."""


def config_of(options: Mapping[str, Any], path: Path | None = None, overrides: Sequence[str] = ()) -> SingConfig:
    """Options by name (None: not given), over a YAML file of SingConfig's fields, and `key=value` words over both.

    Names are SingConfig's fields, SAMPLING_OPTIONS and `separator`. Raises InputError: unknown, or out of bounds.
    """
    words = []
    for name, value in options.items():
        keys = [f"semantic.{name}", f"acoustic.{name}"] if name in SAMPLING_OPTIONS else [name]
        if name == "separator":
            keys = ["separation.separator"]
        words += [f"{key}={json.dumps(value, default=str)}" for key in keys if value is not None]
    return load_config(SingConfig, path, [*words, *overrides])


@dataclass(frozen=True)
class SingRequest:
    """The arguments of `sing`; nothing has been read yet."""

    sm2a: Path | SM2A
    """A run folder, or a loaded model."""
    t2s: Path | T2S | None = None
    """Needed unless `semantic_from` is given."""
    reference: str | None = None
    """The song (see inference.sources): its instrumental, its singer. Needed for music."""
    lyrics: str | None = None
    """Text, `@file`, the path of a .lrc or .txt file, or LRC text; None: those of the reference, where known."""
    singer: str | Path | None = None
    """Another singer: the name of an enrolled voice or of a singer of the sm2a run, or audio."""
    semantic_from: Path | None = None
    """Vocals whose semantic codes are used, from the beginning, instead of codes sampled from lyrics."""
    codec: str | None = None
    """Name or run of the codec; None: the codec that the sm2a run names."""
    codebook: str | None = None
    """Run of the semantic codebook; None: the bundled one. Needed only to tokenise audio."""
    config: SingConfig = field(default_factory=SingConfig)

    @property
    def hears_content(self) -> bool:
        """Whether the semantic tokenizer is needed: for given vocals."""
        return self.semantic_from is not None

    def files(self) -> dict[str, Path]:
        """Option -> the local file or run folder that it names."""
        lyrics = lyrics_file(self.lyrics) if self.lyrics else None
        named = {
            "--sm2a": self.sm2a, "--t2s": self.t2s, "--reference": self.reference, "--lyrics": lyrics,
            "--singer": self.singer, "--semantic-from": self.semantic_from, "--codec": self.codec,
            "--codebook": self.codebook,
        }  # fmt: skip
        paths = {option: Path(name) for option, name in named.items() if isinstance(name, str | Path)}
        return {option: path for option, path in paths.items() if can_be_a_path(path)}


@dataclass(frozen=True)
class Inputs:
    """The decoded audio of a request; None for what was not given."""

    reference: Source | None
    singer: Audio | Voice | None
    """Heard, or known by name."""
    semantic_from: Audio | None


@dataclass(frozen=True)
class ResolvedRequest:
    """A checked request: window fixed, lyrics timed, files decoded."""

    request: SingRequest
    inputs: Inputs
    start_s: float
    length_s: float
    lines: list[AskedLine]

    @property
    def needs_own_voice(self) -> bool:
        """Whether the singer vector of the reference is needed."""
        return self.inputs.singer is None or self.request.config.singer_mix < 1

    @property
    def separates(self) -> bool:
        """Whether the reference must be separated."""
        source, config = self.inputs.reference, self.request.config
        wanted = config.music or self.needs_own_voice
        return source is not None and source.stems is None and wanted and config.separation.separator != "none"


def open_inputs(request: SingRequest) -> Inputs:
    """Decode the given files. Raises InputError where one cannot be decoded, or a required one is not given."""
    config = request.config
    if config.music and request.reference is None:
        raise InputError("sing: no reference song; give --reference SONG, or --no-music to sing a cappella")
    if request.t2s is None and request.semantic_from is None:
        raise InputError("sing: no t2s model; give --t2s RUN, or --semantic-from VOCAL to sing its content again")
    source = open_source(request.reference) if request.reference else None
    voiceless = source is None or (source.stems is None and config.separation.separator == "none")
    if voiceless and config.singer_mix < 1:
        raise InputError(
            f"sing: the reference gives no voice for --singer-mix {config.singer_mix:g} to blend with; leave it out"
        )
    if config.music and source and source.stems and source.stems[1] is None:
        raise InputError(f"reference {source.name}: is a cappella, there is no music to sing over; give --no-music")
    vocal = decode(request.semantic_from) if request.semantic_from else None
    return Inputs(source, _singer(request, voiceless), vocal)


def _singer(request: SingRequest, voiceless: bool) -> Audio | Voice | None:
    """The one that is asked for; none, where the reference gives one; else the first of the run."""
    run = request.sm2a if isinstance(request.sm2a, Path) else None
    if request.singer is None:
        if not voiceless:
            return None
        sm2a = request.sm2a
        known = voices_of_run(sm2a) if isinstance(sm2a, Path) else voices_of_model(sm2a.extra)
        if not known:
            raise InputError(
                "sing: no voice to sing with, the reference gives none and the sm2a keeps none (task.keep_singers); "
                "give --singer NAME or FILE"
            )
        note(f"sing: the reference gives no voice: sung by {known[0].name}, a singer of the sm2a")
        return known[0]
    voice, file = named_voice(str(request.singer), run), Path(request.singer)
    if voice is None and not file.exists():
        raise unknown_voice(str(request.singer), run)
    return decode(file) if voice is None else voice


def resolve(request: SingRequest, inputs: Inputs | None = None) -> ResolvedRequest:
    """Check everything that can be checked without a model. Raises InputError with the remedy.

    `inputs`: the result of `open_inputs` for a request that differs only in its lyrics.
    """
    config, inputs = request.config, inputs or open_inputs(request)
    texts, timed = _lyrics(request, inputs.reference)
    longest_s = _longest_s(config, inputs.reference)
    length_s = _length_s(config, longest_s, timed, texts, inputs)
    lines = window(timed, config.start_s, length_s) if timed else []
    if texts:
        lines = lay_out(texts, length_s, longest_s)
    return ResolvedRequest(request, inputs, config.start_s, length_s, lines)


def _lyrics(request: SingRequest, source: Source | None) -> tuple[list[str], list[AskedLine]]:
    """(lines without times, []) or ([], lines with times in seconds of the reference)."""
    if request.lyrics is not None:
        return read_lyrics(request.lyrics)
    if source and source.lines:
        return [], list(source.lines)
    if source and source.lyrics:
        return read_lyrics(source.lyrics)
    if request.semantic_from is None:
        raise InputError('sing: no lyrics; give --lyrics "words", --lyrics @file or --lyrics song.lrc')
    return [], []


def _longest_s(config: SingConfig, source: Source | None) -> float:
    """The longest possible output, s: with music, up to the end of the reference."""
    if source is None or not config.music:
        return MAX_LENGTH_S
    left_s = source.mix.duration_s - config.start_s
    if left_s <= 0:
        raise InputError(
            f"sing: --start {config.start_s} lies beyond the end of {source.name} ({source.mix.duration_s:.2f} s); "
            "give an earlier start"
        )
    return min(left_s, MAX_LENGTH_S)


def _length_s(
    config: SingConfig, longest_s: float, lines: Sequence[AskedLine], texts: Sequence[str], inputs: Inputs
) -> float:
    """The requested length, or that of the vocals, the clip or the lyrics, up to `longest_s`."""
    source = inputs.reference
    if config.length_s is not None:
        if source and config.length_s > longest_s + 1e-6:
            raise InputError(
                f"sing: --start {config.start_s} --length {config.length_s} ends beyond {source.name}, which has "
                f"{longest_s:.2f} s left there; give a --length of at most {int(longest_s * 1000) / 1000} or an "
                "earlier --start"
            )
        return config.length_s
    if inputs.semantic_from:
        needed = inputs.semantic_from.duration_s
    elif source and source.stems:
        needed = source.mix.duration_s - config.start_s
    else:
        needed = needed_s(texts, lines, config.start_s)
    return max(min(needed, longest_s), min(MIN_LENGTH_S, longest_s))
