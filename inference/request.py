"""What a person asks to be sung -> a request whose files, lyrics and window have been checked before any work.

`open_inputs` decodes what all lyrics of one run share; `resolve` then settles one song.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from autosing.audio.io import Audio, decode
from autosing.config import Config, load_config
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


class SingConfig(Config):
    """How to sing; every field has an option of `autosing sing`, and can lie in a YAML file."""

    start_s: float = Field(default=0.0, ge=0)
    """Where in the reference the singing starts. Times in LRC lyrics are the reference's own."""
    length_s: float | None = Field(default=None, ge=MIN_LENGTH_S, le=MAX_LENGTH_S)
    """How long the output is, to the sample; None: as long as the lyrics need, within the reference."""
    seed: int = Field(default=0, ge=0)
    semantic: Sampling = Sampling()
    """How the content is drawn (t2s); its own seed counts beside `seed`."""
    acoustic: Sampling = Sampling()
    """How the sound is drawn (sm2a); its own seed counts beside `seed`."""
    scale: Scale | None = None
    """fine: every code on its own step. coarse: all codes of a block in one step, about four times faster. None: fine,
    where the model has learnt it."""
    candidates: int = Field(default=1, ge=1, le=64)
    keep: Literal["all", "best"] = "all"
    """best: the candidate in which most of the wanted content codes are heard when its sound is tokenised again."""
    singer_mix: float = Field(default=1.0, ge=0, le=1)
    """0: the reference's singer. 1: the singer of the `singer` file. Between: between."""
    music: bool = True
    """False: a cappella; the models are told of no music and none is mixed in."""
    music_gain_db: float = Field(default=0.0, ge=-60, le=24)
    """Louder or quieter instrumental than the reference's own balance of voice and music."""
    separation: SeparatorConfig = SeparatorConfig()
    """separator none: the reference is an instrumental already, and holds no singer."""
    context_s: float = Field(default=60.0, gt=0)
    """At least so much of the reference around the window is separated: its voice and balance are heard there."""
    sample_rate_hz: int | None = Field(default=None, ge=8000, le=192_000)
    """Of the files written; None: the codec's own."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where models, codec, tokeniser, separator and speaker encoder run; auto: on a GPU where there is one.
    `separation.device`, where it is not auto, is the separator's own."""


DRAWING = ("temperature", "top_k", "top_p", "min_p", "guidance_text", "guidance_music", "guidance_singer")
"""Options that say how codes are drawn: of the content and of the sound alike."""


def config_of(options: Mapping[str, Any], path: Path | None = None, overrides: Sequence[str] = ()) -> SingConfig:
    """Options by name (None: not given), over a YAML file of SingConfig's fields, and `key=value` words over both.

    Names are SingConfig's fields, those of DRAWING, and `separator`. Raises InputError: unknown, or out of bounds.
    """
    words = []
    for name, value in options.items():
        keys = [f"semantic.{name}", f"acoustic.{name}"] if name in DRAWING else [name]
        if name == "separator":
            keys = ["separation.separator"]
        words += [f"{key}={json.dumps(value, default=str)}" for key in keys if value is not None]
    return load_config(SingConfig, path, [*words, *overrides])


@dataclass(frozen=True)
class SingRequest:
    """What `sing` takes. Paths are the person's; nothing has been read yet."""

    sm2a: Path | SM2A
    """A run, or the model of one, loaded before."""
    t2s: Path | T2S | None = None
    """Needed unless `semantic_from` gives the content."""
    reference: str | None = None
    """The song (see inference.sources): its instrumental, its singer. Needed for music."""
    lyrics: str | None = None
    """Text, `@file`, the path of a .lrc or .txt file, or LRC text; None: the reference's own, where they are known."""
    singer: Path | None = None
    """Another singer's voice."""
    semantic_from: Path | None = None
    """A vocal whose content is sung again, from its beginning, instead of drawn from lyrics."""
    codec: str | None = None
    """Name or run of the codec, where it is not the one whose name the sm2a run knows."""
    codebook: str | None = None
    """Run of the semantic codebook, where it is not the bundled one. Needed only to hear content."""
    config: SingConfig = field(default_factory=SingConfig)

    @property
    def hears_content(self) -> bool:
        """Whether a tokeniser of content is needed: for a given vocal, or to choose the best candidate."""
        return self.semantic_from is not None or (self.config.keep == "best" and self.config.candidates > 1)

    def files(self) -> dict[str, Path]:
        """Option -> the file or run folder on this machine that it names, of those that singing reads."""
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
    """The sounds of a request, decoded; None for what was not given."""

    reference: Source | None
    singer: Audio | None
    semantic_from: Audio | None


@dataclass(frozen=True)
class ResolvedRequest:
    """A checked request: the window is settled, the lyrics have times, files are decoded."""

    request: SingRequest
    inputs: Inputs
    start_s: float
    length_s: float
    lines: list[AskedLine]

    @property
    def needs_own_voice(self) -> bool:
        """Whether the reference's singer is heard."""
        return self.inputs.singer is None or self.request.config.singer_mix < 1

    @property
    def separates(self) -> bool:
        """Whether the reference must be separated."""
        source, config = self.inputs.reference, self.request.config
        wanted = config.music or self.needs_own_voice
        return source is not None and source.stems is None and wanted and config.separation.separator != "none"


def open_inputs(request: SingRequest) -> Inputs:
    """Decode what is given. Raises InputError where it cannot be, and where something that is needed is not given."""
    config = request.config
    if config.music and request.reference is None:
        raise InputError("sing: no reference song; give --reference SONG, or --no-music to sing a cappella")
    if request.t2s is None and request.semantic_from is None:
        raise InputError("sing: no t2s model; give --t2s RUN, or --semantic-from VOCAL to sing its content again")
    source = open_source(request.reference) if request.reference else None
    voiceless = source is None or (source.stems is None and config.separation.separator == "none")
    if voiceless and (request.singer is None or config.singer_mix < 1):
        mix = "" if request.singer is None else ", without --singer-mix or with --singer-mix 1"
        raise InputError(f"sing: no voice to sing with, the reference gives none; give --singer FILE{mix}")
    if config.music and source and source.stems and source.stems[1] is None:
        raise InputError(f"reference {source.name}: is a cappella, there is no music to sing over; give --no-music")
    vocal = decode(request.semantic_from) if request.semantic_from else None
    return Inputs(source, decode(request.singer) if request.singer else None, vocal)


def resolve(request: SingRequest, inputs: Inputs | None = None) -> ResolvedRequest:
    """Settle everything that can go wrong without a model. Raises InputError, naming what to give instead.

    `inputs`: what `open_inputs` gave for a request that differs in its lyrics alone.
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
    """(lines without times, []) or ([], lines with times on the reference's own time)."""
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
    """The most that can be sung: with music, never beyond the reference."""
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
    """The length asked for, or what a vocal, a clip or the lyrics need, as far as there is so much."""
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
