"""Digests and headers of the small models that come with autosing, read without torch.

Processes that plan, hand out work or report need no more of the models than this, and so stay small.
"""

from pathlib import Path

import autosing
from autosing.checkpoint import WEIGHTS, describe_model
from autosing.errors import InputError
from autosing.storage.store import digest_of

_WEIGHTS = Path(autosing.__file__).parent / "weights"
LETTERS = "autosing-letters"
"""The aligner's head that comes with the package (autosing/weights/letters, see autosing.models.letters)."""
LETTERS_ENCODER = "whisper-base"
"""The Whisper whose states it reads."""
SEMANTIC = "autosing-semantic"
"""The codebook that comes with the package (autosing/weights/semantic, see its card)."""

PHONES = "autosing-phones"
"""The classifier of phones that comes with the package (autosing/weights/phones, see its card)."""


def letters_folder(name: str = LETTERS) -> Path:
    """A letter head's folder: a run's folder as given, or the bundled one of that name."""
    return _WEIGHTS / "letters" if name == LETTERS else Path(name)


def letters_digest(name: str = LETTERS) -> str:
    """sha256 of a letter head's file."""
    return _digest(f"letter head {name}", letters_folder(name), LETTERS, "run folder of 'autosing train ctc_head'")


def letters_encoder(name: str = LETTERS) -> str:
    """The name of the pretrained Whisper whose states the head reads."""
    encoder: str = describe_model(letters_folder(name), "letters").extra["encoder"]
    return encoder


def semantic_folder(name: str = SEMANTIC) -> Path:
    """A codebook's folder: a run's folder as given, or the bundled one of that name."""
    return _WEIGHTS / "semantic" if name == SEMANTIC else Path(name)


def semantic_digest(name: str = SEMANTIC) -> str:
    """sha256 of the codebook's file: two corpora have the same codes if and only if it is equal."""
    own = "run folder of 'autosing train semantic'"
    return _digest(f"semantic codebook {name}", semantic_folder(name), SEMANTIC, own)


def semantic_encoder(name: str = SEMANTIC) -> str:
    """The name of the pretrained encoder under the codebook."""
    encoder: str = describe_model(semantic_folder(name), "semantic").config["encoder"]
    return encoder


def semantic_size(name: str = SEMANTIC) -> int:
    """The number of codes in the book."""
    size: int = describe_model(semantic_folder(name), "semantic").config["codes"]
    return size


def phone_classes_folder(name: str = PHONES) -> Path:
    """A classifier's folder: one of `python -m train.phone_classes` as given, or the bundled one of that name."""
    return _WEIGHTS / "phones" if name == PHONES else Path(name)


def phone_classes_digest(name: str = PHONES) -> str:
    """sha256 of the file of a classifier of phones (autosing.models.phone_classes)."""
    return _digest(
        f"phone classes {name}", phone_classes_folder(name), PHONES, "folder of 'python -m train.phone_classes'"
    )


def _digest(what: str, folder: Path, bundled: str, own: str) -> str:
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{what}: no {path}; name {bundled!r} or the {own}")
    return digest_of(path)
