"""What lies in a dataset: one sample a clip, its members as files of a tar, and the index beside the tars.

A tar holds `<clip id>.<member file>`: `s1-0.meta.json`, `s1-0.semantic.npy` ... Members are asked for by group:
meta (always), semantic, singer, acoustic, pitch, audio. Arrays are read without unpickling.
"""

import dataclasses
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from autosing.audio.io import Audio, decode
from autosing.codecs.base import CodecSpec
from autosing.config import Config
from autosing.errors import InputError
from autosing.schemas.base import from_row
from autosing.schemas.tables import Line, Word

GROUPS: dict[str, tuple[str, ...]] = {
    "meta": ("meta.json",),
    "semantic": ("semantic.npy",),
    "singer": ("singer.npy",),
    "acoustic": ("vocals_codes.npy", "instrumental_codes.npy"),
    "pitch": ("pitch.npy",),
    "audio": ("vocals.flac", "instrumental.flac"),
}
"""Group -> the files it brings to a sample."""
OPTIONAL = ("instrumental_codes.npy", "instrumental.flac")
"""Absent where the song has no accompaniment."""
PCM_SCALE = np.float32(1 / 32768)


@dataclass(frozen=True)
class SampleMeta:
    """Whose clip it is, how long, and what is sung when (seconds of the clip)."""

    song: str
    singer: str | None
    language: str
    licence: str | None
    duration_s: float
    lines: list[Line]
    words: list[Word]

    def cut(self, start_s: float, duration_s: float) -> "SampleMeta":
        """The window [start, start + duration) on its own time: with the words wholly inside, and the lines' parts.

        A window has its own text (AutoSing's halves both kept the text of the left one).
        """
        end_s = start_s + duration_s

        def moved(item: Any) -> Any:
            return dataclasses.replace(item, start_s=item.start_s - start_s, end_s=item.end_s - start_s)

        words = [w for w in self.words if w.start_s >= start_s and w.end_s <= end_s]
        lines: list[Line] = []
        renumbered: dict[int, int] = {}
        for number, line in enumerate(self.lines):
            own = [w for w in words if w.line == number]
            whole = line.start_s >= start_s and line.end_s <= end_s
            if whole or own:
                renumbered[number] = len(lines)
                if not whole:
                    text = " ".join(w.text for w in own)
                    line = dataclasses.replace(line, text=text, start_s=own[0].start_s, end_s=own[-1].end_s)
                lines.append(moved(line))
        kept = [dataclasses.replace(moved(w), line=renumbered[w.line]) for w in words if w.line in renumbered]
        return dataclasses.replace(self, duration_s=duration_s, lines=lines, words=kept)

    def to_json(self) -> bytes:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "SampleMeta":
        return from_row(cls, json.loads(data))


class Sample:
    """One clip as a task sees it: `id`, `meta`, and its members, decoded when asked for."""

    def __init__(self, id: str, meta: SampleMeta, files: dict[str, Any]) -> None:
        self.id, self.meta = id, meta
        self._files = files
        """File name -> encoded bytes, or what they decode to."""

    def has(self, name: str) -> bool:
        """Whether a member is there: "semantic", "instrumental_codes", "instrumental" ..."""
        return f"{name}.npy" in self._files or f"{name}.flac" in self._files

    def array(self, name: str) -> np.ndarray:
        """semantic int[N at 25 Hz], singer float32[256], pitch float32[N at 100 Hz], vocals_codes and
        instrumental_codes int32[codes laid flat, see CodecSpec.unflatten]. Raises InputError where it is absent."""
        value = self._file(f"{name}.npy")
        return read_array(value, f"{self.id}.{name}.npy") if isinstance(value, bytes) else value

    def audio(self, name: str = "vocals") -> Audio:
        """vocals or instrumental, as stored. Raises InputError where it is absent."""
        value = self._file(f"{name}.flac")
        if isinstance(value, bytes):
            return decode(value, f"{self.id}.{name}.flac")
        pcm_CS, rate = value
        return Audio(pcm_CS * PCM_SCALE, rate)

    def decoded(self) -> "Sample":
        """The same sample with every member decoded once: audio as 16 bits, which is what FLAC holds (lossless)."""
        files: dict[str, Any] = {}
        for file, value in self._files.items():
            if not isinstance(value, bytes):
                files[file] = value
            elif file.endswith(".npy"):
                files[file] = read_array(value, f"{self.id}.{file}")
            else:
                audio = decode(value, f"{self.id}.{file}")
                files[file] = (np.round(audio.samples_CS / PCM_SCALE).astype(np.int16), audio.sample_rate_hz)
        return Sample(self.id, self.meta, files)

    @property
    def num_bytes(self) -> int:
        """What the members take in memory."""
        sizes = (v[0].nbytes if isinstance(v, tuple) else getattr(v, "nbytes", None) for v in self._files.values())
        return sum(len(v) if n is None else n for n, v in zip(sizes, self._files.values(), strict=True))

    def _file(self, file: str) -> Any:
        if file not in self._files:
            raise InputError(f"sample {self.id}: found no {file}; build the dataset with that member (--members)")
        return self._files[file]


def read_array(data: bytes, name: str) -> np.ndarray:
    """The array of a .npy file. Raises InputError where it is none, or would need unpickling."""
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{name}: not a plain .npy array ({error}); build the dataset again") from None


def write_array(array: np.ndarray) -> bytes:
    """A .npy file's bytes."""
    sink = io.BytesIO()
    np.save(sink, np.ascontiguousarray(array), allow_pickle=False)
    return sink.getvalue()


class CodecRecord(Config):
    """The codec whose codes lie in vocals_codes and instrumental_codes."""

    spec: CodecSpec
    digest: str

    @property
    def name(self) -> str:
        return self.spec.name


class SemanticRecord(Config):
    """The codebook whose codes lie in `semantic`."""

    digest: str
    size: int = Field(gt=0)


class ShardRecord(Config):
    """One tar; `path` is relative to the dataset."""

    path: str
    rows: int
    bytes: int
    sha256: str


class SplitRecord(Config):
    """One split and its shards, in order."""

    shards: tuple[ShardRecord, ...]
    rows: int
    seconds: float
    songs: int
    singers: int


class DatasetIndex(Config):
    """`<dataset>/index.json`: what was promised of a dataset, and what `verify` checks."""

    fingerprint: str
    """Changes whenever the inputs or the config of the build do."""
    members: tuple[str, ...]
    """The groups in every sample (see GROUPS)."""
    codec: CodecRecord | None = None
    semantic: SemanticRecord | None = None
    splits: dict[str, SplitRecord] = Field(default_factory=dict)
    rows_in: int = 0
    dropped: dict[str, int] = Field(default_factory=dict)
    """Reason -> clips of the corpus that are in no split. rows_in = rows of all splits + these."""

    @property
    def rows(self) -> int:
        """Clips in all splits."""
        return sum(split.rows for split in self.splits.values())

    @classmethod
    def load(cls, dataset: Path) -> "DatasetIndex":
        """Raises InputError where there is none or it is not readable."""
        path = dataset / "index.json"
        if not path.is_file():
            raise InputError(f"dataset {dataset}: no index.json in it; make one with 'autosing build CORPUS {dataset}'")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: not readable as JSON ({error}); build the dataset again") from None
        return cls.build(values, origin=str(path))
