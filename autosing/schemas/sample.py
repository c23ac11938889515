"""The contents of a dataset: one sample for each clip, its members as files of a tar, and the index beside the tars.

A tar holds `<clip id>.<member file>`: `s1-0.meta.json`, `s1-0.semantic.npy` ... Members are named by group: meta
(always), audio, and the features of autosing.schemas.features. Arrays are read without unpickling.
"""

import dataclasses
import io
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from autosing.audio.io import Audio, decode
from autosing.config import Config
from autosing.errors import InputError
from autosing.schemas.base import from_row
from autosing.schemas.features import FEATURES
from autosing.schemas.records import CodecRecord, FeatureRecord, MemberRecord, SemanticRecord
from autosing.schemas.tables import Line, Word
from autosing.score.score import Score
from autosing.storage.store import Place

META = "meta.json"
MAX_META_BYTES = 1 << 20
MAX_DECODED_SAMPLES = 1 << 26
"""Maximum for one member, over all channels: 256 MiB, 12 minutes of stereo. A tiny FLAC can hold hours of silence."""
GROUPS: dict[str, tuple[str, ...]] = {
    "meta": ("meta.json",),
    **{name: tuple(member.file for member in feature.members) for name, feature in FEATURES.items()},
    "audio": ("vocals.flac", "instrumental.flac"),
}
"""Group -> its files in a sample."""
CODES_FIELDS = {"acoustic": "codec", "semantic": "semantic"}
"""Feature -> the field of the index with the record of its codec or codebook."""
PCM_SCALE = np.float32(1 / 32768)


@dataclass(frozen=True)
class SampleMeta:
    """A clip's song and singer, its length, and the times of its words (seconds of the clip)."""

    song: str
    singer: str | None
    language: str
    licence: str | None
    duration_s: float
    lines: list[Line]
    words: list[Word]

    def to_json(self) -> bytes:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "SampleMeta":
        """Raises ValueError, TypeError, AttributeError or RecursionError for other data."""
        if len(data) > MAX_META_BYTES:
            raise ValueError(f"{len(data)} bytes, at most {MAX_META_BYTES} are read")
        meta = from_row(cls, json.loads(data))
        if not 0 < meta.duration_s < math.inf or meta.lines is None or meta.words is None:
            raise ValueError(f"a clip of {meta.duration_s} s, or without lines and words")
        return meta


class Sample:
    """One clip as a task sees it: `id`, `meta`, and its members; audio is decoded on first use.

    `keeps`: whether decoded audio is kept for the next use (as 16 bits if the FLAC has no more: lossless).
    """

    __slots__ = ("_files", "_meta", "id", "keeps")

    def __init__(
        self, id: str, meta: SampleMeta | bytes | memoryview, files: dict[str, Any], keeps: bool = False
    ) -> None:
        self.id = id
        self._meta = meta
        self._files = files
        """File name -> its array, its encoded audio, or its decoded audio."""
        self.keeps = keeps

    @property
    def meta(self) -> SampleMeta:
        """Raises InputError if it is not readable."""
        if not isinstance(self._meta, SampleMeta):
            try:
                self._meta = SampleMeta.from_json(bytes(self._meta))
            except (ValueError, AttributeError, TypeError, RecursionError) as error:
                raise InputError(
                    f"{self.id}.{META} is not readable ({type(error).__name__}: {error}); build the dataset again"
                ) from None
        return self._meta

    def has(self, name: str) -> bool:
        """Whether the sample has a member: "semantic", "instrumental_codes", "instrumental", "score" ..."""
        return any(f"{name}.{ending}" in self._files for ending in ("npy", "flac", "json"))

    def score(self) -> Score:
        """What is sung, on the clip's time. Raises InputError where it is absent or no score."""
        data = self._files.get("score.json")
        if data is None:
            raise self._lacks("score.json")
        return Score.from_json(bytes(data), f"{self.id}.score.json")

    def array(self, name: str) -> np.ndarray:
        """semantic int[N at 25 Hz], singer float32[256], pitch float32[N at 100 Hz], content float16[N at 50 Hz, D],
        loudness float32[N at 100 Hz], vocals_codes and instrumental_codes int32[flat codes, see CodecSpec.unflatten].
        The array must not be written to.

        Raises InputError if it is absent.
        """
        array: np.ndarray | None = self._files.get(f"{name}.npy")
        if array is None:
            raise self._lacks(f"{name}.npy")
        return array

    def audio(self, name: str = "vocals") -> Audio:
        """vocals or instrumental, as stored. Raises InputError if it is absent, damaged, or far too long."""
        file = f"{name}.flac"
        value = self._files.get(file)
        if value is None:
            raise self._lacks(file)
        if isinstance(value, Audio):
            return value
        if isinstance(value, (bytes, memoryview)):
            audio = decode(bytes(value), f"{self.id}.{file}", max_samples=MAX_DECODED_SAMPLES)
            if self.keeps:
                pcm_CS = np.round(audio.samples_CS / PCM_SCALE).astype(np.int16)
                lossless = np.array_equal(pcm_CS * PCM_SCALE, audio.samples_CS)
                self._files[file] = (pcm_CS, audio.sample_rate_hz) if lossless else audio
            return audio
        pcm_CS, rate = value
        return Audio(pcm_CS * PCM_SCALE, rate)

    def keeping(self) -> "Sample":
        """The same sample, which keeps decoded audio and refers to nothing in the shard's memory."""
        files = {file: _apart(value) for file, value in self._files.items()}
        meta = bytes(self._meta) if isinstance(self._meta, memoryview) else self._meta
        return Sample(self.id, meta, files, keeps=True)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its members' files, meta.json left out."""
        return tuple(self._files)

    @property
    def num_bytes(self) -> int:
        """The members' present size in memory."""
        return sum(_num_bytes(value) for value in self._files.values())

    def _lacks(self, file: str) -> InputError:
        return InputError(f"sample {self.id}: found no {file}; build the dataset with that member (--members)")


def _apart(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return value.copy() if isinstance(value, np.ndarray) else value


def _num_bytes(value: Any) -> int:
    if isinstance(value, tuple):
        return int(value[0].nbytes)
    if isinstance(value, Audio):
        return int(value.samples_CS.nbytes)
    return len(value) if isinstance(value, bytes) else int(value.nbytes)


class Layout(NamedTuple):
    """The layout of a .npy file's array in memory that holds the file."""

    shape: tuple[int, ...]
    dtype: np.dtype
    first: int
    order: Literal["C", "F"]

    def array(self, memory: memoryview) -> np.ndarray:
        """A view, which is writable if the memory is."""
        return np.ndarray(self.shape, self.dtype, memory, self.first, None, self.order)


def array_layout(memory: memoryview, begin: int, end: int, name: str) -> Layout:
    """The layout of the .npy file `name` that lies at begin .. end in `memory`.

    Raises InputError if it is not a .npy file, would need unpickling, or is not as long as its header says.
    """
    try:
        if end - begin < 10:
            raise ValueError(f"{end - begin} bytes")
        first = begin + 10 + memory[begin + 8] + 256 * memory[begin + 9]
        shape, dtype, order, size = _array_header(bytes(memory[begin : min(first, end)]))
        if first + size != end:
            raise ValueError(f"{end - begin} bytes, its header says {first + size - begin}")
        return Layout(shape, dtype, first, order)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{name}: not a plain .npy array ({error}); build the dataset again") from None


@lru_cache(1 << 12)
def _array_header(head: bytes) -> tuple[tuple[int, ...], np.dtype, Literal["C", "F"], int]:
    """(shape, type, order, bytes of the array). Cached, because reading one takes 20 us and few differ."""
    source = io.BytesIO(head)
    if np.lib.format.read_magic(source) != (1, 0):
        raise ValueError("not of version 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(source)
    if dtype.kind not in "biuf":
        raise ValueError(f"of type {dtype}, need plain numbers")
    return shape, dtype, "F" if fortran else "C", math.prod(shape) * dtype.itemsize


def write_array(array: np.ndarray) -> bytes:
    """A .npy file's bytes."""
    sink = io.BytesIO()
    np.save(sink, np.ascontiguousarray(array), allow_pickle=False)
    return sink.getvalue()


class ShardRecord(Config):
    """One tar; `path` is relative to the dataset."""

    path: str
    rows: int = Field(ge=0)
    bytes: int
    sha256: str
    offsets: str | None = None
    """sha256 of its offsets file (autosing.storage.offsets); None in older datasets, which have none."""

    @field_validator("path")
    @classmethod
    def _stay_inside(cls, path: str) -> str:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError("leads out of the dataset")
        return path


class SplitRecord(Config):
    """One split and its shards, in order."""

    shards: tuple[ShardRecord, ...]
    rows: int
    seconds: float
    songs: int
    singers: int

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        held = sum(shard.rows for shard in self.shards)
        if held != self.rows:
            raise ValueError(f"{self.rows} rows recorded, its shards have {held}")
        return self


class DatasetIndex(Config):
    """`<dataset>/index.json`: the description of a dataset, which `verify` checks."""

    fingerprint: str
    """Changes whenever the inputs or the config of the build change."""
    members: tuple[str, ...]
    """The groups in every sample (see GROUPS)."""
    features: dict[str, FeatureRecord] = Field(default_factory=dict)
    """Empty in older datasets; see `promised`."""
    codec: CodecRecord | None = None
    semantic: SemanticRecord | None = None
    splits: dict[str, SplitRecord] = Field(default_factory=dict)
    apart: Literal["singers", "songs"] = "singers"
    """What no two splits share: singers and songs, or songs alone."""
    rows_in: int = 0
    dropped: dict[str, int] = Field(default_factory=dict)
    """Reason -> number of clips of the corpus that are in no split. rows_in = rows of all splits + these."""

    @property
    def rows(self) -> int:
        """Clips in all splits."""
        return sum(split.rows for split in self.splits.values())

    def promised(self) -> dict[str, MemberRecord]:
        """Member -> the record of its arrays. For older indices, which have none, today's declarations are used."""
        found: dict[str, MemberRecord] = {}
        for name in self.members:
            held = self.features[name].members if name in self.features else {}
            if name in FEATURES:
                codes = getattr(self, CODES_FIELDS[name]) if name in CODES_FIELDS else None
                declared = {member.name: member.record(codes) for member in FEATURES[name].members}
                held = {
                    key: declared[key].model_copy(update=record.model_dump(exclude_unset=True))
                    for key, record in (declared | held).items()
                }
            found |= held
        return found

    @classmethod
    def load(cls, dataset: Place) -> "DatasetIndex":
        """Raises InputError if there is none, or it is not readable."""
        path = dataset / "index.json"
        if not path.is_file():
            raise InputError(f"dataset {dataset}: no index.json in it; make one with 'autosing build CORPUS {dataset}'")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: not readable as JSON ({error}); build the dataset again") from None
        return cls.build(values, origin=str(path))
