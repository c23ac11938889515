"""Run folders -> the models that sing together, refused before any work where they do not speak the same codes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosing.checkpoint import load_model
from autosing.codecs import codec_digest, load_codec
from autosing.codecs.base import Codec
from autosing.errors import InputError
from autosing.generation.acoustic import Scale
from autosing.models.bundled import SEMANTIC, semantic_digest
from autosing.models.semantic import SemanticTokenizer, load_semantic
from autosing.models.sm2a import SM2A, load_sm2a
from autosing.models.t2s import T2S, load_t2s


@dataclass(frozen=True)
class Models:
    """t2s is None where the content comes from a given vocal; the tokeniser where none is heard."""

    sm2a: SM2A
    codec: Codec
    t2s: T2S | None
    tokenizer: SemanticTokenizer | None
    scale: Scale


def load_models(
    sm2a: Path, t2s: Path | None, codec: str | None, codebook: str | None, hears: bool, scale: Scale | None
) -> Models:
    """A pair of runs and their codec; with `hears`, the tokeniser of their content codes too.

    Raises InputError: missing, of the wrong kind, of codes that differ, or without the codec they were trained on.
    """
    ours = load_model(sm2a, "sm2a").extra
    if t2s is not None:
        _agree(sm2a, ours, t2s, load_model(t2s, "t2s").extra)
    name = codec or ours["codec"]["spec"]["name"]
    _same(f"sm2a {sm2a}", f"codec {name}", ours["codec"]["digest"], codec_digest(name), "--codec NAME or RUN")
    book = codebook or SEMANTIC
    if hears:
        found = semantic_digest(book)
        _same(f"sm2a {sm2a}", f"semantic codebook {book}", ours["semantic"]["digest"], found, "--codebook RUN")
    return Models(
        load_sm2a(sm2a),
        load_codec(name),
        load_t2s(t2s) if t2s is not None else None,
        load_semantic(book) if hears else None,
        _scale(sm2a, ours.get("scales", ["coarse", "fine"]), scale),
    )


def _scale(sm2a: Path, learnt: list[Scale], wanted: Scale | None) -> Scale:
    if wanted is not None and wanted not in learnt:
        raise InputError(f"sm2a {sm2a}: has learnt {' and '.join(learnt)} columns; give --scale {learnt[0]}")
    return wanted or ("fine" if "fine" in learnt else "coarse")


def _agree(sm2a: Path, ours: dict[str, Any], t2s: Path, theirs: dict[str, Any]) -> None:
    for key, noun in (("semantic", "semantic codebooks"), ("codec", "codecs")):
        a, b = (str(extra[key]["digest"]) for extra in (theirs, ours))
        if a != b:
            raise InputError(
                f"t2s {t2s} and sm2a {sm2a}: were trained on different {noun} ({a[:12]} and {b[:12]}); "
                "need two runs on datasets of the same codes"
            )


def _same(who: str, what: str, wanted: str, found: str, remedy: str) -> None:
    if wanted != found:
        raise InputError(
            f"{who}: was trained on another file than {what} (digest {wanted[:12]}, found {found[:12]}); "
            f"give the right one by {remedy}"
        )
