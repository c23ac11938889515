"""What the tables say of themselves -> the records of a dataset's features, codec and semantic codebook."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from autosing.errors import InputError
from autosing.schemas.features import FEATURES, Member, Part
from autosing.schemas.sample import CodecRecord, FeatureRecord, MemberRecord, SemanticRecord
from autosing.storage.tables import fingerprint
from dataset_builder.join import Source


def codec_of(made_from: Sequence[Source]) -> CodecRecord:
    """The one codec of every partition's `acoustic`. Raises InputError where partitions differ."""
    from autosing.codecs import codec_digest, load_codec

    details = _agreed(made_from, "acoustic")
    name = details["config"]["codec"]
    digest = _unchanged("acoustic", name, details["weights"][name], codec_digest(name))
    return CodecRecord(spec=load_codec(name).spec, digest=digest)


def semantic_of(made_from: Sequence[Source]) -> SemanticRecord:
    """The one codebook of every partition's `semantic`. Raises InputError where partitions differ."""
    from autosing.models.bundled import semantic_digest, semantic_size

    details = _agreed(made_from, "semantic")
    name = details["config"]["codebook"]
    digest = _unchanged("semantic", name, details["weights"]["codebook"], semantic_digest(name))
    return SemanticRecord(size=semantic_size(name), digest=digest)


def features_of(made_from: Sequence[Source], groups: Collection[str], wide: bool) -> dict[str, FeatureRecord]:
    """What each feature of the dataset is, and a digest of what made it. `wide`: see Member.cells.

    Raises InputError where partitions differ.
    """
    records = {}
    for name, feature in FEATURES.items():
        if name in groups:
            made = _agreed(made_from, name)
            parts = [Part(**part) for part in made.get("parts", ())]
            records[name] = FeatureRecord(
                members={member.name: _recorded(member, wide, parts) for member in feature.members},
                digest=fingerprint({"stage": name, **made}),
                parts=tuple(parts),
            )
    return records


def _recorded(member: Member, wide: bool, parts: Sequence[Part]) -> MemberRecord:
    rate_hz = None if member.rate_hz is None else float(member.rate_hz)
    whole = sum(part.width for part in parts)
    width = None if member.width is None else tuple(whole if n is None else n for n in member.width)
    return MemberRecord(dtype=np.dtype(member.dtype_of(wide)).name, rate_hz=rate_hz, width=width)


def _unchanged(table: str, name: str, made: str, now: str) -> str:
    """The digest that the codes were made with, which must be that of the weights whose numbers are read now."""
    if made != now:
        raise InputError(
            f"{table}.parquet: {name} was another file then (digest {made[:12]}, now {now[:12]}); "
            f"run 'autosing process' again, or put the old file back"
        )
    return made


def _agreed(made_from: Sequence[Source], table: str) -> dict[str, Any]:
    """The config and weights that all partitions of a table were made with."""
    held = [source for source in made_from if source.table == table]
    first = _made_with(held[0])
    for source in held:
        found = _made_with(source)
        if found != first:
            raise InputError(
                f"{table}.parquet of partition {source.partition} was made with {found}, that of partition "
                f"{held[0].partition} with {first}; run 'autosing process' over the whole corpus"
            )
    return first


def _made_with(source: Source) -> dict[str, Any]:
    """Config and weights, and parts where there are some; where the models ran is nobody's matter."""
    made = {key: dict(source.meta.details.get(key) or {}) for key in ("config", "weights")}
    made["config"].pop("device", None)
    return made | ({"parts": source.meta.details["parts"]} if "parts" in source.meta.details else {})
