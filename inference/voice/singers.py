"""Names, wavs and blends -> whom a model sings as: a unit vector, and where that voice sings.

Enrolled voices lie in $AUTOSING_HOME/voices, a JSON file each. Shapes: E = 256.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autosing.audio.io import decode
from autosing.audio.pitch import load_tracker
from autosing.errors import InputError
from autosing.ids import check_id
from autosing.models.singers import KnownSinger, singers_in, singers_of_run
from autosing.pretrained.cache import home
from autosing.schemas.sample import DatasetIndex
from autosing.storage.shards import read_shard
from autosing.storage.store import digest_of, write_whole
from inference.voice.pitch import Range

CONSENT_EXAMPLE = "Anna Smith, by letter: conversions for our album"
NOT_RECORDED = "not recorded"
AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif", ".m4a", ".webm")


@dataclass(frozen=True)
class Voice:
    """A singer as models are told of one."""

    name: str
    vector: tuple[float, ...]
    """E, of length one (GE2E)."""
    range: Range | None
    """Where it sings; None where it was never heard to."""
    seconds: float = 0.0
    sources: tuple[str, ...] = ()
    """sha256 of the files it was taken from."""
    consent: str | None = None
    """Who agreed, to what; None where it was not recorded."""

    @property
    def vector_E(self) -> np.ndarray:
        return np.asarray(self.vector, np.float32)

    @property
    def middle_hz(self) -> float | None:
        """Of its range."""
        return self.range.middle_hz if self.range else None


def voices_folder() -> Path:
    return home() / "voices"


def enrol(name: str, files: Sequence[Path], consent: str, device: str = "cpu") -> Voice:
    """The mean voice of some files (folders: all audio in them), weighted by their length; written under its name.
    `consent`: who agreed, to what.

    Raises InputError: a bad name, no consent, no audio, nothing that sounds in any of the files.
    """
    check_id(name)
    consent = checked_consent(consent)
    return keep(name, replace(voice_of(name, files, device), consent=consent))


def checked_consent(said: str) -> str:
    """In one line. Raises InputError where nothing is said."""
    if not said.strip():
        raise InputError(f"--consent {said!r}: need who agreed, and to what, as in {CONSENT_EXAMPLE!r}")
    return " ".join(said.split())


def consent_given(name: str, files: Sequence[Path]) -> str | None:
    """What is recorded of the enrolled voice of this name, if it is of the same files.

    Raises InputError as `enrol` does of name and files, before anything is asked.
    """
    check_id(name)
    paths = [path for given in files for path in audio_in(given)]
    path = voices_folder() / f"{name}.json"
    held = _read(path) if path.is_file() else None
    if held is None or held.consent is None or set(held.sources) != {digest_of(path) for path in paths}:
        return None
    return held.consent


def keep(name: str, voice: Voice) -> Voice:
    """The voice under that name, written among the enrolled ones. Raises InputError for a bad name."""
    voice = replace(voice, name=check_id(name))
    voices_folder().mkdir(parents=True, exist_ok=True)
    write_whole(voices_folder() / f"{name}.json", json.dumps(asdict(voice), indent=1).encode())
    return voice


def voice_of(name: str, files: Sequence[Path], device: str = "cpu") -> Voice:
    """The same without being written."""
    from autosing.models.speaker import load_speaker_encoder

    paths = [path for given in files for path in audio_in(given)]
    encoder, track = load_speaker_encoder(device), load_tracker("fcpe", device)
    vectors, seconds, pitches, unheard = [], [], [], []
    for path in paths:
        audio = decode(path)
        mono_S = audio.mono_S()
        try:
            vectors.append(encoder.embed(mono_S, audio.sample_rate_hz))
        except InputError as error:
            unheard.append(f"{path}: {error}")
            continue
        seconds.append(audio.duration_s)
        pitches.append(track(mono_S, audio.sample_rate_hz))
    if not vectors:
        raise InputError(f"voice {name}: nothing sounds in {len(paths)} files; the first: {unheard[0]}")
    return mean_voice(name, vectors, seconds, pitches, tuple(digest_of(path) for path in paths))


def mean_voice(
    name: str,
    vectors: Sequence[np.ndarray],
    seconds: Sequence[float],
    pitches: Sequence[np.ndarray],
    sources: tuple[str, ...] = (),
) -> Voice:
    """Of one sound or more: the mean of their vectors, weighted by their length, and the range of their pitch."""
    mean_E = np.average(vectors, axis=0, weights=seconds)
    mean_E /= np.linalg.norm(mean_E)
    return Voice(name, tuple(map(float, mean_E)), Range.of(np.concatenate(pitches)), sum(seconds), sources)


def enrolled() -> list[Voice]:
    """All voices there are, by name."""
    folder = voices_folder()
    return [_read(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []


def index_singer(name: str, dataset: Path, singer: str) -> tuple[Path, int]:
    """(the index, its frames) of a singer's content in a dataset, all splits of it.

    Raises InputError: no such dataset, no content in it, nobody of that name.
    """
    from inference.voice.retrieval import write_index

    index = DatasetIndex.load(dataset)
    if "content" not in index.members:
        raise InputError(f"dataset {dataset}: has members {', '.join(index.members)}; need content")
    clips, names = [], set()
    for split in index.splits.values():
        for shard in split.shards:
            for _, sample in read_shard(dataset / shard.path):
                names.add(sample.meta.singer)
                if sample.meta.singer == singer:
                    clips.append(sample.array("content"))
    if not clips:
        raise InputError(f"dataset {dataset}: nobody is called {singer!r}; it has {', '.join(sorted(map(str, names)))}")
    path = voices_folder() / f"{check_id(name)}.content.npy"
    return path, write_index(path, clips)


def voices_of_run(run: Path) -> list[Voice]:
    """The singers that a run was trained on, by name. Raises InputError where it is no run."""
    return [_voice_of(singer) for singer in singers_of_run(run)]


def voices_of_model(extra: Mapping[str, Any]) -> list[Voice]:
    """The same, of a model that is loaded, by its `extra`."""
    return [_voice_of(singer) for singer in singers_in(extra, "model")]


def _voice_of(singer: KnownSinger) -> Voice:
    heard = Range(*singer.range_hz) if singer.range_hz else None
    return Voice(singer.name, tuple(singer.vector_E.tolist()), heard, singer.seconds)


def named_voice(name: str, run: Path | None = None) -> Voice | None:
    """An enrolled voice, or else a singer of the run; None where neither has that name."""
    path = voices_folder() / f"{name}.json"
    if path.is_file():
        return _read(path)
    return next((voice for voice in (voices_of_run(run) if run else []) if voice.name == name), None)


def unknown_voice(name: str, run: Path | None = None) -> InputError:
    """Of what is neither a voice's name nor a file, with the names there are."""
    known = f"an enrolled voice ({_names(enrolled())})"
    if run:
        known += f", nor a singer of {run} ({_names(voices_of_run(run))})"
    return InputError(f"--singer {name}: neither {known}, nor a file; see 'autosing voices enrol NAME wavs...'")


def find_voice(text: str, device: str = "cpu", run: Path | None = None) -> Voice:
    """An enrolled voice's name, that of a singer of the run, or audio of a singer: the first that there is.

    Raises InputError, with the names there are.
    """
    voice = named_voice(text, run)
    if voice is not None:
        return voice
    if Path(text).exists():
        return voice_of(Path(text).stem, [Path(text)], device)
    raise unknown_voice(text, run)


def blend(parts: Sequence[tuple[Voice, float]]) -> Voice:
    """Weighted mean of the vectors, of length one again, and of the ranges in octaves.

    Raises InputError where weights are negative or not a number, or nothing is left of them.
    """
    total = sum(weight for _, weight in parts)
    if not all(weight >= 0 for _, weight in parts) or not np.isfinite(total) or total <= 0:
        given = " ".join(f"{voice.name}={weight:g}" for voice, weight in parts)
        raise InputError(f"--singer {given}: need weights of 0 or more, one above 0")
    vector_E = np.sum([weight / total * voice.vector_E for voice, weight in parts], axis=0)
    length = float(np.linalg.norm(vector_E))
    if length < 1e-3:
        raise InputError(f"--singer: {' and '.join(voice.name for voice, _ in parts)} cancel out; give other weights")
    ranged = [(voice.range, weight) for voice, weight in parts if voice.range is not None and weight > 0]
    middle = None
    if ranged:
        weights = [weight for _, weight in ranged]
        bounds = np.log([[r.low_hz, r.middle_hz, r.high_hz] for r, _ in ranged])
        low, centre, high = np.exp(np.average(bounds, axis=0, weights=weights)).tolist()
        middle = Range(low, centre, high)
    name = "+".join(f"{voice.name}={weight:g}" for voice, weight in parts)
    consent = None
    if any(voice.consent for voice, _ in parts):
        consent = "; ".join(f"{voice.name}: {voice.consent or NOT_RECORDED}" for voice, _ in parts)
    return Voice(name, tuple((vector_E / length).tolist()), middle, consent=consent)


def parse_singers(texts: Sequence[str], device: str = "cpu", run: Path | None = None) -> Voice:
    """`NAME`, a wav, or a blend: `a=0.5 b=0.5`. `run`: whose singers may be named."""
    if len(texts) == 1 and not _is_share(texts[0]):
        return find_voice(texts[0], device, run)
    parts = []
    for text in texts:
        name, _, said = text.rpartition("=")
        try:
            weight = float(said)
        except ValueError:
            raise InputError(f"--singer {text}: need NAME=WEIGHT where several are given, as in a=0.5 b=0.5") from None
        parts.append((find_voice(name, device, run), weight))
    return blend(parts)


def singer_over_time(path: Path, device: str = "cpu", run: Path | None = None) -> Callable[[float], np.ndarray]:
    """A CSV with a column time_s and one a voice, weights in it -> seconds -> vector_E; between rows weights go in
    straight lines. Raises InputError as `blend` does, naming the line."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--singer-over-time {path}: cannot be read ({error})") from None
    names = [name for name in (rows[0] if rows else {}) if name != "time_s"]
    if not rows or "time_s" not in rows[0] or not names:
        raise InputError(f"--singer-over-time {path}: need a header time_s and voices, and rows")
    voices = [find_voice(name, device, run) for name in names]
    times, weights = [], []
    for number, row in enumerate(rows, start=2):
        try:
            times.append(float(row["time_s"]))
            weights.append([float(row[name]) for name in names])
        except (TypeError, ValueError):
            raise InputError(f"--singer-over-time {path}, line {number}: {list(row.values())}, need numbers") from None
        if len(times) > 1 and times[-1] <= times[-2]:
            raise InputError(f"--singer-over-time {path}, line {number}: time {times[-1]:g} s is not after the last")
        blend(list(zip(voices, weights[-1], strict=True)))
    weights_NV = np.array(weights)

    def singer_at(time_s: float) -> np.ndarray:
        now_V = [float(np.interp(time_s, times, column_N)) for column_N in weights_NV.T]
        return blend(list(zip(voices, now_V, strict=True))).vector_E

    return singer_at


class AskedVoice(NamedTuple):
    """Who shall sing, as --singer or --singer-over-time names it."""

    voice: Voice
    over_time: Callable[[float], np.ndarray] | None
    """Seconds -> vector_E, where the singer changes."""
    files: dict[str, Path]
    """Option -> the file that was read for it."""


def asked_voice(texts: Sequence[str] | None, over_time: Path | None, run: Path, or_first: bool = False) -> AskedVoice:
    """`or_first`: where nobody is named, the first singer of the run sings.

    Raises InputError unless one of both is given, and as `parse_singers` and `singer_over_time` do.
    """
    if or_first and not texts and not over_time and (known := voices_of_run(run)):
        return AskedVoice(known[0], None, {})
    if bool(texts) == bool(over_time):
        raise InputError("give --singer (a name, a wav, or a blend) or --singer-over-time, one of them")
    if over_time is None:
        assert texts is not None
        files = {f"--singer {text}": Path(text) for text in texts if Path(text).is_file()}
        return AskedVoice(parse_singers(texts, run=run), None, files)
    singer_at = singer_over_time(over_time, run=run)
    first = Voice(str(over_time), tuple(map(float, singer_at(0.0))), None)
    return AskedVoice(first, singer_at, {"--singer-over-time": over_time})


def _names(voices: Sequence[Voice]) -> str:
    return ", ".join(voice.name for voice in voices) or "none"


def _is_share(text: str) -> bool:
    return "=" in text and not Path(text).exists()


def audio_in(given: Path, option: str = "") -> list[Path]:
    """The file itself, or all audio in the folder. Raises InputError, beginning with `option`, where there is none."""
    if given.is_dir():
        found = sorted(path for path in given.rglob("*") if path.suffix.lower() in AUDIO_ENDINGS)
        if not found:
            raise InputError(f"{option}{given}: no audio in it ({', '.join(AUDIO_ENDINGS)})")
        return found
    if not given.is_file():
        raise InputError(f"{option}{given}: no such file")
    return [given]


def _read(path: Path) -> Voice:
    try:
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = held["range"]
        span = Range(**found) if found else None
        return Voice(
            held["name"], tuple(held["vector"]), span, held["seconds"], tuple(held["sources"]), held.get("consent")
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: no voice ({error}); enrol it again") from None
