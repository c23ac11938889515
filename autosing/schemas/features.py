"""The features of clips. Each is declared here once; stages, join, shards, verify and card loop over them.

A feature is a stage and its table, `<name>.parquet`, and a group of a dataset's members of the same name. To add one:
its record and its declaration here, its stage in processing/stages/<name>.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from autosing.errors import InputError
from autosing.schemas.base import Float16Frames, Float32s
from autosing.schemas.records import JSON, CodecRecord, Codes, MemberRecord, Part, SemanticRecord
from autosing.schemas.tables import Acoustic, Pitch, Semantic, Singer
from autosing.timebase import CONTENT_RATE_HZ, PITCH_RATE_HZ


@dataclass(frozen=True)
class Member:
    """One array of a feature: a column of the table, and `<name>.npy` of a sample. Or JSON, in `<name>.json`."""

    name: str
    column: str
    dtype: Any
    """`str`: JSON."""
    wide_dtype: Any = None
    """The type if its codes do not fit `dtype`, because the codebook has more than 32,768."""
    rate_hz: Fraction | None = None
    """Frames per second along the first axis; None: no series, or codes, whose codebook has the rate."""
    width: tuple[int | None, ...] | None = None
    """The shape after the first axis, () for one number per frame; without a rate the whole shape. None: any. A None in
    it: the total width of the stage's parts, which the index records."""
    unit: bool = False
    """A vector of length 1."""
    optional: bool = False
    """Absent from clips without an accompaniment."""

    @property
    def file(self) -> str:
        return f"{self.name}.{'json' if self.dtype is str else 'npy'}"

    def record(self, codes: Codes | None = None, parts: Sequence[Part] = ()) -> MemberRecord:
        """Its record in index.json. `codes`: the record of its codec or codebook, if it has any; `parts`: see Part."""
        if self.dtype is str:
            return MemberRecord(dtype=JSON)
        rate_hz = None if self.rate_hz is None else float(self.rate_hz)
        whole = sum(part.width for part in parts) or None
        width = None if self.width is None else tuple(whole if n is None else n for n in self.width)
        shape: dict[str, Any] = {"width": width, "unit": self.unit, "optional": self.optional}
        if codes is None:
            return MemberRecord(dtype=np.dtype(self.dtype).name, rate_hz=rate_hz, **shape)
        wide = self.wide_dtype is not None and max(codes.codebook_sizes) > np.iinfo(self.dtype).max + 1
        return MemberRecord(
            dtype=np.dtype(self.wide_dtype if wide else self.dtype).name, rate_hz=codes.rate_hz,
            codebook_sizes=codes.codebook_sizes, strides=codes.strides, **shape,
        )  # fmt: skip


@dataclass(frozen=True)
class Feature:
    """A stage whose table can be part of shards."""

    name: str
    about: str
    record: type
    members: tuple[Member, ...]
    asked_for: bool = False
    """Made only on request (`--stages`, or a config's `run`), because it is large and not all models need it."""
    codes: Callable[[Mapping[str, Any]], Codes] | None = None
    """Of a feature of codes: its stage's {"config", "weights"}, as recorded in the table -> the record of the codec or
    codebook. Raises InputError if other weights have that name now."""


def _codec(made: Mapping[str, Any]) -> CodecRecord:
    from autosing.codecs import codec_digest, load_codec

    name = made["config"]["codec"]
    digest = _unchanged("acoustic", name, made["weights"][name], codec_digest(name))
    return CodecRecord(spec=load_codec(name).spec, digest=digest)


def _semantic_codebook(made: Mapping[str, Any]) -> SemanticRecord:
    from autosing.models.bundled import semantic_digest, semantic_size

    name = made["config"]["codebook"]
    digest = _unchanged("semantic", name, made["weights"]["codebook"], semantic_digest(name))
    return SemanticRecord(size=semantic_size(name), digest=digest)


def _unchanged(table: str, name: str, made: str, now: str) -> str:
    """The digest of the weights that made the codes. Raises InputError if today's weights are others."""
    if made != now:
        raise InputError(
            f"{table}.parquet: was made with another {name} (digest {made[:12]}, now {now[:12]}); "
            f"run 'autosing process' again, or put the old file back"
        )
    return made


@dataclass(frozen=True)
class Loudness:
    """loudness.parquet: how loud the voice is, 100 frames a second."""

    id: str
    loudness_db: Float32s


@dataclass(frozen=True)
class Content:
    """content.parquet: what is sung, 50 frames a second, as wide as the encoders' outputs together."""

    id: str
    content: Float16Frames


@dataclass(frozen=True)
class ClipScore:
    """score.parquet: what is sung, as words, syllables, phones and notes. `source` is made, file or transcribed."""

    id: str
    source: str
    score: str
    """autosing.score.score.Score as JSON, on the clip's time."""


@dataclass(frozen=True)
class Speech:
    """speech.parquet: what is heard in the clip's speech, its melody taken away, and when in it the clip's words are
    spoken. Of a clip without speech its singing stands for it. `source` is spoken or sung."""

    id: str
    source: str
    speech: Float16Frames
    """50 frames a second of the speech."""
    knots_s: Float32s
    """autosing.speech.time_map.knots_of: K seconds of the clip, then K of the speech."""


FEATURES = {
    feature.name: feature
    for feature in (
        Feature("pitch", "f0 in Hz, 0 where nobody sings", Pitch, (
            Member("pitch", "f0_hz", np.float32, rate_hz=Fraction(PITCH_RATE_HZ), width=()),
        )),
        Feature("loudness", "A-weighted dB, 0 for a full-scale sine of 1 kHz", Loudness, (
            Member("loudness", "loudness_db", np.float32, rate_hz=Fraction(PITCH_RATE_HZ), width=()),
        )),
        Feature("content", "speech encoders' frames side by side", Content, (
            Member("content", "content", np.float16, rate_hz=CONTENT_RATE_HZ, width=(None,)),
        ), asked_for=True),
        Feature("score", "words, syllables, phones and notes with their times", ClipScore, (
            Member("score", "score", str),
        ), asked_for=True),
        Feature("speech", "speech encoders' frames of the words spoken, and when each is", Speech, (
            Member("speech", "speech", np.float16), Member("speech_knots", "knots_s", np.float32),
        ), asked_for=True),
        Feature("singer", "the voice as a unit vector (GE2E)", Singer, (
            Member("singer", "embedding", np.float32, width=(256,), unit=True),
        )),
        Feature("semantic", "content codes", Semantic, (
            Member("semantic", "codes", np.int16, np.int32, width=()),
        ), codes=_semantic_codebook),
        Feature("acoustic", "codec codes of voice and accompaniment, levels laid flat", Acoustic, (
            Member("vocals_codes", "vocals", np.int32, width=()),
            Member("instrumental_codes", "instrumental", np.int32, width=(), optional=True),
        ), codes=_codec),
    )
}  # fmt: skip
"""In the order in which their stages run."""
