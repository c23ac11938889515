"""Sources -> the same singing in another voice, as files: one source or a folder of them, the model loaded once."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from pydantic import Field

from autosing.audio.pitch import TrackerName
from autosing.config import Config
from autosing.console import counting
from autosing.device import device_here
from autosing.errors import InputError
from autosing.models.separation import SeparatorConfig
from autosing.pretrained.cache import home
from inference.files import check_rate, writing
from inference.provenance.origin import Origin, digests_of
from inference.provenance.sound import write_sound
from inference.voice.engine import EngineConfig, Song, num_samples, render
from inference.voice.features import Features, Reader
from inference.voice.load import Singer, check_sampling, check_voice, load_voice
from inference.voice.outputs import MADE_BY, Converted, outputs_of
from inference.voice.over_music import Stems, lay_over, separate
from inference.voice.pitch import Range, key_semitones, shifted
from inference.voice.pitch_csv import read_pitch_csv, write_pitch_csv
from inference.voice.retrieval import Retrieval
from inference.voice.singers import Voice


class ConvertConfig(Config):
    """What may be chosen of a conversion."""

    engine: EngineConfig = EngineConfig()
    shift: float = 0.0
    """Semitones, fractions too, on top of the key."""
    key: Literal["auto", "keep"] = "keep"
    """auto: moved by whole semitones into the singer's range."""
    tracker: TrackerName = "fcpe"
    """Of the source's pitch; crepe and swiftf0 reach higher than fcpe."""
    over_music: bool = False
    """The source is a song: its voice is separated, converted, and laid over its accompaniment again."""
    separator: Literal["spleeter", "demucs"] = "spleeter"
    vocoder: Path | None = None
    """A run of 'autosing train vocoder', for a model in the space log_mel."""
    index: Path | None = None
    """A singer's own content ('autosing voices index'), which the source's is drawn towards."""
    index_share: float = Field(default=0.5, ge=0, le=1)
    index_nearest: int = Field(default=4, ge=1)
    keep_features: bool = True
    """Features of sources are kept in $AUTOSING_HOME/features (2 GB at most), so that a second try is quick."""
    content_files: dict[str, str] = Field(default_factory=dict)
    """Content encoder -> its file of weights, where the model was trained with one of the user's own."""
    watermark: bool = True
    """Where its package is installed (see docs/provenance.md)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class Request:
    """One conversion: of a file, or of all audio in a folder."""

    model: Path
    source: Path
    out: Path
    voice: Voice
    singer_at: Callable[[float], np.ndarray] | None = None
    """Who sings over time, in place of `voice`."""
    pitch: Path | None = None
    pitch_out: Path | None = None
    config: ConvertConfig = field(default_factory=ConvertConfig)
    force: bool = False
    """Also replace files that 'autosing convert' did not write."""
    read: Mapping[str, Path] = field(default_factory=dict)
    """Option -> another file that was read for this, which must not be replaced either."""

    @property
    def inputs(self) -> dict[str, Path]:
        """Option -> file or run that is read, without the sources."""
        config = self.config
        named = {"--model": self.model, "--pitch": self.pitch, "--vocoder": config.vocoder, "index": config.index}
        return {**{option: path for option, path in named.items() if path}, **self.read}


def convert(request: Request) -> list[dict[str, Any]]:
    """A row for each file: name, seconds, key, range, cost.

    Raises InputError before anything is written where the model or an output's name will not do, and for one source
    whatever is wrong with it; of a folder, files that are no audio become rows with their error.
    """
    config = request.config
    check_voice(request.model)
    if request.source.is_dir() and (request.pitch or request.pitch_out):
        raise InputError("--pitch, --pitch-out: of one source, not of a folder of them")
    pairs = outputs_of(request.source, request.out, request.pitch_out, request.inputs, request.force)
    device = device_here(config.device)
    model = load_voice(request.model, device, config.vocoder)
    check_sampling(request.model, model, config.engine.sampling)
    for _, files in pairs:
        check_rate(files.audio, model.spec.sample_rate_hz)
    kept = home() / "features" if config.keep_features else None
    drawn = None
    if config.index is not None:
        drawn = Retrieval(config.index, config.index_share, config.index_nearest, device)
    reader = Reader(model.content, config.content_files, config.tracker, device, kept)
    rows = []
    for source, files in pairs:
        try:
            rows.append(_convert_one(request, source, files, model, reader, drawn))
        except InputError as error:
            if len(pairs) == 1:
                raise
            rows.append({"source": str(source), "file": "", "error": str(error)})
    return rows


def _convert_one(
    request: Request, source: Path, files: Converted, model: Singer, reader: Reader, drawn: Retrieval | None
) -> dict[str, Any]:
    started, config, rate = time.perf_counter(), request.config, model.spec.sample_rate_hz
    with TemporaryDirectory(prefix="autosing-") as folder:
        work, voice_path, stems = Path(folder), source, None
        if config.over_music:
            stems = separate(source, work, SeparatorConfig(separator=config.separator, device=config.device))
            voice_path = stems.vocals
        features = reader.read(voice_path, work)
        f0_hz_T, semitones = _pitch(request, features)
        song = Song(features, f0_hz_T, request.singer_at or (lambda _: request.voice.vector_E), drawn)
        source_range, sung = Range.of(features.f0_hz_T), Range.of(f0_hz_T)
        row = {
            "source": str(source), "file": str(files.audio), "singer": request.voice.name,
            "seconds": round(features.duration_s, 3), "samples": num_samples(song, model),
            "sample_rate_hz": rate, "semitones": round(semitones, 3), "source_hz": _span(source_range),
            "sung_hz": _span(sung), "singer_hz": _span(request.voice.range),
        }  # fmt: skip
        if stems is not None:
            row |= {"samples": stems.num_samples, "sample_rate_hz": stems.sample_rate_hz}
        with writing(files) as under_way:
            tags = _sing(request, model, song, stems, work, under_way.at(files.audio))
            if files.pitch:
                write_pitch_csv(f0_hz_T, under_way.at(files.pitch))
            row["wall_s"] = round(time.perf_counter() - started, 2)
            under_way.commit({
                "model": str(request.model), "config": config.dump(), **row, "tags": tags,
                "singer_sha256": hashlib.sha256(request.voice.vector_E.tobytes()).hexdigest(),
            })  # fmt: skip
    return row


def _sing(request: Request, model: Singer, song: Song, stems: Stems | None, work: Path, path: Path) -> dict[str, str]:
    """Into the file, block by block; its tags."""
    config, rate = request.config, model.spec.sample_rate_hz
    blocks, channels = render(model, song, config.engine, counting("sung", "s")), 1
    made = (block_S[None] for block_S in blocks) if stems is None else lay_over(blocks, rate, stems, work)
    if stems is not None:
        rate, channels = stems.sample_rate_hz, stems.channels
    digests = digests_of({check_voice(request.model): request.model, "vocoder": config.vocoder})
    origin = Origin(MADE_BY, digests, config.engine.sampling.seed)
    return write_sound(path, made, rate, channels, origin, config.watermark)


def _pitch(request: Request, features: Features) -> tuple[np.ndarray, float]:
    """(what is sung, by how many semitones it was moved)."""
    f0_hz_T = features.f0_hz_T
    if request.pitch:
        f0_hz_T = read_pitch_csv(request.pitch, len(f0_hz_T))
    return in_key(f0_hz_T, request.voice.range, request.config)


def in_key(f0_hz_T: np.ndarray, singer: Range | None, config: ConvertConfig) -> tuple[np.ndarray, float]:
    """(the pitch moved by the config's shift, and into the singer's range where it says so; by how many semitones)."""
    semitones = config.shift
    if config.key == "auto":
        semitones += key_semitones(Range.of(f0_hz_T), singer)
    return shifted(f0_hz_T, semitones), semitones


def _span(range_: Range | None) -> str:
    return "" if range_ is None else f"{range_.low_hz:.0f}-{range_.high_hz:.0f}"
