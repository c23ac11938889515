"""Metadata of the tables -> the records of a dataset's features, and of the codec or codebook of their codes."""

from collections.abc import Collection, Sequence
from typing import Any

from autosing.errors import InputError
from autosing.schemas.features import FEATURES
from autosing.schemas.records import Codes, FeatureRecord, Part
from autosing.storage.tables import fingerprint
from dataset_builder.join import Source


def features_of(
    made_from: Sequence[Source], groups: Collection[str]
) -> tuple[dict[str, FeatureRecord], dict[str, Codes]]:
    """(the record of each feature; for features of codes, the record of the codec or codebook).

    Raises InputError if partitions differ, or if the codec or codebook of that name has other weights by now.
    """
    records, codes = {}, {}
    for name, feature in FEATURES.items():
        if name not in groups:
            continue
        made = _agreed(made_from, name)
        if feature.codes is not None:
            codes[name] = feature.codes(made)
        parts = tuple(Part(**part) for part in made.get("parts", ()))
        records[name] = FeatureRecord(
            members={member.name: member.record(codes.get(name), parts) for member in feature.members},
            digest=fingerprint({"stage": name, **made}),
            parts=parts,
        )
    return records, codes


def _agreed(made_from: Sequence[Source], table: str) -> dict[str, Any]:
    """The config and weights with which all partitions of a table were made. Raises InputError if they differ."""
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
    """Config and weights, and parts if there are any. The device does not count."""
    made = {key: dict(source.meta.details.get(key) or {}) for key in ("config", "weights")}
    made["config"].pop("device", None)
    return made | ({"parts": source.meta.details["parts"]} if "parts" in source.meta.details else {})
