"""A semantic tokenizer, a codec -> the vectors of their codes, checked against the dataset."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from autosing.checkpoint import describe_model
from autosing.config import Config
from autosing.errors import InputError
from autosing.models.presets import SHAPES, Shape
from autosing.schemas.records import CodecRecord, SemanticRecord
from autosing.schemas.sample import DatasetIndex
from train.begin_with import check_given

if TYPE_CHECKING:
    from autosing.codecs.base import Codec

C = TypeVar("C", bound=Config)
RANDOM_WIDTH = 64
_INPUTS = frozenset({"semantic_width", "code_width", "music_levels", "causal_text", "use_singer"})
"""What a model of codes is told, and in how many numbers; see T2SConfig and SM2AConfig."""
_INPUTS_REMEDY = (
    "give the task.semantic, task.codec, task.music_levels, task.causal_text and task.use_singer of that run"
)


def semantic_codebook(name: str | None, record: SemanticRecord) -> Tensor:
    """codebook_KW, which is frozen in the model. None: random vectors, always the same.

    Raises InputError if the tokenizer is not the one that the dataset was made with.
    """
    if name is None:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(record.size, RANDOM_WIDTH, generator=generator)
    from autosing.models.semantic import load_semantic

    tokenizer = load_semantic(name)
    if tokenizer.digest != record.digest:
        raise InputError(
            f"semantic {name!r}: its codebook is {tokenizer.digest[:12]}, but the dataset's codes are of "
            f"{record.digest[:12]}; name the one it was processed with by --set task.semantic=NAME_OR_RUN"
        )
    return torch.from_numpy(tokenizer.codebook_KD).float()


def codec_of(record: CodecRecord, name: str | None = None) -> "Codec | None":
    """The dataset's codec. None: it is not on this machine under the name that the dataset gives; another of that name
    would take its codes for others.

    name: the codec or its run, to look for instead. Raises InputError where that is not there, or not the dataset's.
    """
    from autosing.codecs import codec_digest, load_codec

    if name is None:
        try:
            return load_codec(record.name) if codec_digest(record.name) == record.digest else None
        except InputError:
            return None
    digest = codec_digest(name)
    if digest != record.digest:
        raise InputError(
            f"task.codec {name}: its digest is {digest[:12]}, but the dataset's codes are of {record.digest[:12]}; "
            "name the codec that the dataset was processed with"
        )
    return load_codec(name)


def code_vectors(record: CodecRecord, name: str | None = None) -> list[Tensor] | None:
    """vectors_VC of each level of the dataset's codec, which are frozen in the model; see `codec_of`."""
    codec = codec_of(record, name)
    if codec is None:
        return None
    return [codec.code_vectors(level).detach().float().cpu() for level in range(codec.spec.num_levels)]


def code_width(vectors: Sequence[Tensor] | None) -> dict[str, int]:
    """The setting of a model for these vectors; its default without."""
    return {} if vectors is None else {"code_width": max(vectors_VC.shape[1] for vectors_VC in vectors)}


def described(
    size: str, shape: Shape, semantic: str | None, singer: bool, vectors: Sequence[Tensor] | None
) -> dict[str, str]:
    """The choices that a user should see before a run of days."""
    return {
        "size": size if shape == SHAPES[size] else f"own shape of width {shape.width}",
        "codebook": semantic or "none, random vectors stand for the codes (--set task.semantic=NAME_OR_RUN)",
        "codec": (
            "the vectors of its codes are known"
            if vectors
            else "not found, so what its codes mean must be learned (--set task.codec=NAME_OR_RUN)"
        ),
        "singer": "told to the model" if singer else "not told to the model",
    }


def records_of(index: DatasetIndex) -> tuple[CodecRecord, SemanticRecord]:
    """Raises InputError where the dataset has no codes."""
    if index.codec is None or index.semantic is None:
        raise InputError(
            "dataset: no codec or no semantic codes in its index; build it with --members semantic,acoustic"
        )
    return index.codec, index.semantic


def config_to_go_on(folder: str, kind: str, asked: C, shape: Shape | None, index: DatasetIndex) -> C:
    """The config of a run of t2s or sm2a that a new one goes on from, with the new one's `usual` and `context_s`.

    Raises InputError where it is no run of that kind, has another shape than the one given, or other codes, or where
    its inputs are others than those asked for.
    """
    where, held = f"task.begin_with {folder}", describe_model(Path(folder), kind)
    codes = codes_of(index)
    for key, noun in (("semantic", "semantic codebook"), ("codec", "codec")):
        its, here = held.extra[key]["digest"], codes[key]["digest"]
        if its != here:
            raise InputError(
                f"{where}: was trained on the codes of a {noun} with digest {its[:12]}, the dataset's are "
                f"of {here[:12]}; process the corpus with that one, or begin with nothing"
            )
    known = type(asked).build(held.config, origin=folder)
    check_given(where, "task", known, asked, {} if shape is None else {"shape": shape.dump()})
    for name in sorted(_INPUTS & known.dump().keys()):
        its, here = getattr(known, name), getattr(asked, name)
        if its != here:
            raise InputError(f"{where}: its {name} is {its}, the new run's is {here}; {_INPUTS_REMEDY}")
    free = {name: getattr(asked, name) for name in ("usual", "context_s")}
    return known.model_copy(update=free)


def codes_of(index: DatasetIndex) -> dict[str, Any]:
    """For ModelFile.extra: what a model must be used with."""
    codec, semantic = records_of(index)
    return {
        "semantic": semantic.dump(),
        "codec": {"name": codec.name, "digest": codec.digest, "spec": codec.spec.dump()},
    }
