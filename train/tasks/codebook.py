"""The name of a semantic tokenizer -> its codes' vectors, checked against the dataset's codes."""

import torch
from torch import Tensor

from autosing.errors import InputError
from autosing.schemas.sample import SemanticRecord

RANDOM_WIDTH = 64


def semantic_codebook(name: str | None, record: SemanticRecord) -> Tensor:
    """codebook_KW, frozen in the model. None: random vectors, the same for the same codebook's digest.

    Raises InputError where the tokenizer is another than the one the dataset was made with.
    """
    if name is None:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(record.size, RANDOM_WIDTH, generator=generator)
    from autosing.models.semantic import load_semantic

    tokenizer = load_semantic(name)
    if tokenizer.digest != record.digest:
        raise InputError(
            f"semantic {name!r}: its codebook is {tokenizer.digest[:12]}, but the dataset's codes are of "
            f"{record.digest[:12]}; name the one it was processed with"
        )
    return torch.from_numpy(tokenizer.codebook_KD).float()
