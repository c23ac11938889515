"""Runs -> the models of one request, on one device. Runs with different codecs or codebooks are refused at once."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosing.checkpoint import describe_model
from autosing.codecs import codec_digest, load_codec
from autosing.codecs.base import Codec
from autosing.device import device_here
from autosing.errors import InputError
from autosing.generation.acoustic import Scale
from autosing.models.bundled import SEMANTIC, semantic_digest
from autosing.models.semantic import SemanticTokenizer, load_semantic
from autosing.models.separation import VocalsOf, load_separator
from autosing.models.sm2a import SM2A, load_sm2a
from autosing.models.t2s import T2S, load_t2s
from inference.provenance.origin import UNKNOWN, digests_of
from inference.request import ResolvedRequest, SingRequest


@dataclass(frozen=True)
class Models:
    """All models of one request except the speaker encoder, which is cached for the process."""

    sm2a: SM2A
    codec: Codec
    t2s: T2S | None
    """None where the semantic codes come from given vocals."""
    tokenizer: SemanticTokenizer | None
    """None where no audio has to be tokenised."""
    separate: VocalsOf | None
    """None where nothing must be separated."""
    scale: Scale
    device: str
    load_s: float
    """Seconds that loading took."""
    digests: Mapping[str, str]
    """Kind of model -> the digest of its weights."""


def load_models(resolved: ResolvedRequest) -> Models:
    """The models for this request, and for requests that differ only in their lyrics.

    Raises InputError: a run is missing or of the wrong kind, a codec or codebook is not the one that a model was
    trained with, or there is no such device.
    """
    started = time.monotonic()
    request, config = resolved.request, resolved.request.config
    device = device_here(config.device)
    ours = _extra(request.sm2a, "sm2a")
    who = f"sm2a {name_of(request.sm2a)}"
    if request.t2s is not None:
        _agree(who, ours, f"t2s {name_of(request.t2s)}", _extra(request.t2s, "t2s"))
    name = request.codec or ours["codec"]["spec"]["name"]
    _same(who, f"codec {name}", ours["codec"]["digest"], codec_digest(name), "--codec NAME or RUN")
    book = request.codebook or SEMANTIC
    if request.hears_content:
        found = semantic_digest(book)
        _same(who, f"semantic codebook {book}", ours["semantic"]["digest"], found, "--codebook RUN")
    scale = _scale(who, ours.get("scales", ["coarse", "fine"]), config.scale)
    separation = config.separation
    if separation.device == "auto":
        separation = separation.model_copy(update={"device": device})
    sm2a, t2s = request.sm2a, request.t2s
    return Models(
        sm2a=load_sm2a(sm2a, device) if isinstance(sm2a, Path) else sm2a.to(device),
        codec=load_codec(name, device),
        t2s=load_t2s(t2s, device) if isinstance(t2s, Path) else t2s.to(device) if t2s else None,
        tokenizer=load_semantic(book, device) if request.hears_content else None,
        separate=load_separator(separation) if resolved.separates else None,
        scale=scale,
        device=device,
        load_s=round(time.monotonic() - started, 2),
        digests={**_digests(request), "codec": ours["codec"]["digest"]},
    )


def _digests(request: SingRequest) -> dict[str, str]:
    """Of the runs; a model that was loaded before has no file."""
    models = {"t2s": request.t2s, "sm2a": request.sm2a}
    loaded = {kind: UNKNOWN for kind, model in models.items() if model is not None and not isinstance(model, Path)}
    return {**loaded, **digests_of({kind: model for kind, model in models.items() if isinstance(model, Path)})}


def name_of(model: Path | SM2A | T2S) -> str:
    """The name of a model in messages and in out.json."""
    return str(model) if isinstance(model, Path) else "(loaded before)"


def _extra(model: Path | SM2A | T2S, kind: str) -> dict[str, Any]:
    """The codec and the codebook (names, digests) that a model was trained with."""
    if isinstance(model, Path):
        return describe_model(model, kind).extra
    if not isinstance(model, SM2A if kind == "sm2a" else T2S):
        raise InputError(f"{kind}: found a {type(model).__name__} model; give a run of 'autosing train {kind}'")
    return model.extra


def _scale(who: str, trained: list[Scale], wanted: Scale | None) -> Scale:
    if wanted is not None and wanted not in trained:
        raise InputError(f"{who}: was trained for {' and '.join(trained)} columns only; give --scale {trained[0]}")
    return wanted or ("fine" if "fine" in trained else "coarse")


def _agree(sm2a: str, ours: dict[str, Any], t2s: str, theirs: dict[str, Any]) -> None:
    for key, noun in (("semantic", "semantic codebooks"), ("codec", "codecs")):
        a, b = (str(extra[key]["digest"]) for extra in (theirs, ours))
        if a != b:
            raise InputError(
                f"{t2s} and {sm2a}: were trained on different {noun} ({a[:12]} and {b[:12]}); "
                "give --t2s and --sm2a of the same dataset"
            )


def _same(who: str, what: str, wanted: str, found: str, remedy: str) -> None:
    if wanted != found:
        raise InputError(
            f"{who}: found {what} with digest {found[:12]}, need the one with digest {wanted[:12]} that it was trained "
            f"with; give it by {remedy}"
        )
