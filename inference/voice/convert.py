"""Sources -> the same singing in another voice, as files: one source or a folder of them, the model loaded once."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from pydantic import Field

from autosing.audio.io import Audio, Writer, decode, save
from autosing.checkpoint import describe_model
from autosing.config import Config
from autosing.device import device_here
from autosing.errors import InputError
from autosing.models.separation import SeparatorConfig, at_most_stereo, load_separator, split
from autosing.models.svc_flow import SvcFlowVoice, load_svc_flow
from autosing.pretrained.cache import home
from autosing.storage.store import replacing, write_whole
from inference.mix import balance_lu, lay_over
from inference.output import FORMATS
from inference.voice.engine import EngineConfig, Song, num_samples, render
from inference.voice.features import Features, Reader
from inference.voice.pitch import Range, key_semitones, shifted
from inference.voice.pitch_csv import pitch_csv, read_pitch_csv
from inference.voice.retrieval import Retrieval
from inference.voice.singers import Voice, audio_in


class ConvertConfig(Config):
    """What may be chosen of a conversion."""

    engine: EngineConfig = EngineConfig()
    shift: float = 0.0
    """Semitones, fractions too, on top of the key."""
    key: Literal["auto", "keep"] = "keep"
    """auto: moved by whole semitones into the singer's range."""
    over_music: bool = False
    """The source is a song: its voice is separated, converted, and laid over its accompaniment again."""
    separator: Literal["spleeter", "demucs"] = "spleeter"
    index: Path | None = None
    """A singer's own content ('autosing voices index'), which the source's is drawn towards."""
    index_share: float = Field(default=0.5, ge=0, le=1)
    index_nearest: int = Field(default=4, ge=1)
    keep_features: bool = True
    """Features of sources are kept in $AUTOSING_HOME/features (2 GB at most), so that a second try is quick."""
    content_files: dict[str, str] = Field(default_factory=dict)
    """Content encoder -> its file of weights, where the model was trained with one of the user's own."""
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


def convert(request: Request) -> list[dict[str, Any]]:
    """A row for each file: name, seconds, key, range, cost.

    Raises InputError before anything is written where the model or an output's name will not do, and for one source
    whatever is wrong with it; of a folder, files that are no audio become rows with their error.
    """
    pairs = _pairs(request)
    device = device_here(request.config.device)
    model = load_svc_flow(request.model, device)
    kept = home() / "features" if request.config.keep_features else None
    index, drawn = request.config.index, None
    if index is not None:
        drawn = Retrieval(index, request.config.index_share, request.config.index_nearest, device)
    reader = Reader(model.content, request.config.content_files, "fcpe", device, kept)
    rows = []
    for source, out in pairs:
        one = replace(request, source=source, out=out)
        try:
            rows.append(_convert_one(one, model, reader, drawn))
        except InputError as error:
            if len(pairs) == 1:
                raise
            rows.append({"source": str(source), "file": "", "error": str(error)})
    return rows


def _convert_one(request: Request, model: SvcFlowVoice, reader: Reader, drawn: Retrieval | None) -> dict[str, Any]:
    started, config = time.perf_counter(), request.config
    with TemporaryDirectory(prefix="autosing-") as folder:
        work = Path(folder)
        voice_path, rest = request.source, None
        if config.over_music:
            voice_path, rest = _separated(request.source, work, config)
        features = reader.read(voice_path, work)
        f0_hz_T, semitones = _pitch(request, features)
        song = Song(features, f0_hz_T, request.singer_at or (lambda _: request.voice.vector_E), drawn)
        rate, total = model.space.spec.sample_rate_hz, num_samples(song, model.space)
        blocks = render(model, song, config.engine)
        if rest is None:
            with replacing(request.out) as path:
                writer = Writer(rate, 1, request.out.suffix.lstrip(".").lower(), path)
                for block_S in blocks:
                    writer.write(block_S[None])
                writer.finish()
        else:
            converted = Audio(np.concatenate(list(blocks))[None], rate)
            save(_over(converted, decode(voice_path), rest), request.out)
    if request.pitch_out:
        write_whole(request.pitch_out, pitch_csv(f0_hz_T).encode())
    source_range, sung = Range.of(features.f0_hz_T), Range.of(f0_hz_T)
    row = {
        "source": str(request.source), "file": str(request.out), "singer": request.voice.name,
        "seconds": round(features.duration_s, 3), "samples": total, "sample_rate_hz": rate,
        "semitones": round(semitones, 3), "source_hz": _span(source_range), "sung_hz": _span(sung),
        "singer_hz": _span(request.voice.range), "wall_s": round(time.perf_counter() - started, 2),
    }  # fmt: skip
    _write_record(request, row)
    return row


def _pitch(request: Request, features: Features) -> tuple[np.ndarray, float]:
    """(what is sung, by how many semitones it was moved)."""
    f0_hz_T = features.f0_hz_T
    if request.pitch:
        f0_hz_T = read_pitch_csv(request.pitch, len(f0_hz_T))
    semitones = request.config.shift
    if request.config.key == "auto":
        semitones += key_semitones(Range.of(f0_hz_T), request.voice.range)
    return shifted(f0_hz_T, semitones), semitones


def _separated(source: Path, work: Path, config: ConvertConfig) -> tuple[Path, Audio]:
    """(the voice, as a file, and the accompaniment)."""
    mix = at_most_stereo(decode(source))
    vocals, rest = split(mix, load_separator(SeparatorConfig(separator=config.separator)))
    save(vocals, work / "vocals.wav")
    return work / "vocals.wav", rest


def _over(converted: Audio, vocals: Audio, rest: Audio) -> Audio:
    """As loud over the accompaniment as the source's voice was, at the accompaniment's rate, of its length."""
    length = rest.samples_CS.shape[1]
    sung = converted.resampled(rest.sample_rate_hz).samples_CS[:, :length]
    sung = np.pad(sung, [(0, 0), (0, length - sung.shape[1])])
    return lay_over(Audio(sung, rest.sample_rate_hz), rest, balance_lu(vocals, rest)).mix


def _pairs(request: Request) -> list[tuple[Path, Path]]:
    """(source, out). Raises InputError where they do not fit."""
    source, out = request.source, request.out
    describe_model(request.model, "svc_flow")
    if not source.exists():
        raise InputError(f"--source {source}: no such file or folder")
    if source.is_dir():
        found = audio_in(source, "--source ")
        if out.exists() and not out.is_dir():
            raise InputError(f"--out {out}: is a file; a folder of sources needs a folder")
        if request.pitch or request.pitch_out:
            raise InputError("--pitch, --pitch-out: of one source, not of a folder of them")
        pairs = [(path, out / path.relative_to(source).with_suffix(".wav")) for path in found]
    else:
        if out.suffix.lower() not in FORMATS:
            raise InputError(f"--out {out}: ends in {out.suffix or 'nothing'!r}, need {', '.join(FORMATS)}")
        pairs = [(source, out)]
    for path, target in pairs:
        if target.exists() and target.samefile(path):
            raise InputError(f"--out {target}: would replace the source; give another name or folder")
        record = target.with_suffix(".json")
        if target.exists() and not _ours(record):
            raise InputError(f"--out {target}: is there, and 'autosing convert' did not write it; give another name")
        target.parent.mkdir(parents=True, exist_ok=True)
    return pairs


def _ours(record: Path) -> bool:
    try:
        return json.loads(record.read_text(encoding="utf-8")).get("made_by") == "autosing convert"
    except (OSError, ValueError, AttributeError):
        return False


def _write_record(request: Request, row: dict[str, Any]) -> None:
    facts = {
        "made_by": "autosing convert", "model": str(request.model), "config": request.config.dump(), **row,
        "singer_sha256": hashlib.sha256(request.voice.vector_E.tobytes()).hexdigest(),
    }  # fmt: skip
    write_whole(request.out.with_suffix(".json"), json.dumps(facts, ensure_ascii=False, indent=1).encode())


def _span(range_: Range | None) -> str:
    return "" if range_ is None else f"{range_.low_hz:.0f}-{range_.high_hz:.0f}"
