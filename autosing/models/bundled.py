"""Names, digests and headers of the models that come with autosing (autosing/weights), read without torch.

Processes that plan, hand out work or report need no more of the models than this, and so stay small.
"""

from pathlib import Path

from autosing.checkpoint import WEIGHTS, describe_model, located
from autosing.errors import InputError
from autosing.storage.store import digest_of

LETTERS = "autosing-letters"
"""The aligner's head that comes with the package (autosing/weights/letters, see autosing.models.letters)."""
LETTERS_ENCODER = "whisper-base"
"""The Whisper whose states it reads."""
SEMANTIC = "autosing-semantic"
"""The codebook that comes with the package (autosing/weights/semantic, see its card)."""

PHONES = "autosing-phones"
"""The classifier of phones that comes with the package (autosing/weights/phones, see its card)."""
VISINGER = "autosing-visinger"
"""What `render` sings with unless it is told (autosing/weights/visinger, see its card)."""
STS = "autosing-sts"
"""What `speech-to-singing` sings with unless it is told (autosing/weights/sts, see its card)."""
T2S, SM2A = "autosing-t2s", "autosing-sm2a"
"""What `sing` sings with unless it is told (autosing/weights/t2s and sm2a, see their cards)."""
SVC_FLOW = "autosing-svc_flow"
"""What `convert` sings with and `adapt` begins with unless they are told (autosing/weights/svc_flow, see its card)."""


def letters_digest(name: str = LETTERS) -> str:
    """sha256 of a letter head's file."""
    return _digest(f"letter head {name}", located(name), LETTERS, "run folder of 'autosing train ctc_head'")


def letters_encoder(name: str = LETTERS) -> str:
    """The name of the pretrained Whisper whose states the head reads."""
    encoder: str = describe_model(Path(name), "letters").extra["encoder"]
    return encoder


def semantic_digest(name: str = SEMANTIC) -> str:
    """sha256 of the codebook's file: two corpora have the same codes if and only if it is equal."""
    own = "run folder of 'autosing train semantic'"
    return _digest(f"semantic codebook {name}", located(name), SEMANTIC, own)


def semantic_encoder(name: str = SEMANTIC) -> str:
    """The name of the pretrained encoder under the codebook."""
    encoder: str = describe_model(Path(name), "semantic").config["encoder"]
    return encoder


def semantic_size(name: str = SEMANTIC) -> int:
    """The number of codes in the book."""
    size: int = describe_model(Path(name), "semantic").config["codes"]
    return size


def phone_classes_digest(name: str = PHONES) -> str:
    """sha256 of the file of a classifier of phones (autosing.models.phone_classes)."""
    return _digest(f"phone classes {name}", located(name), PHONES, "folder of 'python -m train.phone_classes'")


def _digest(what: str, folder: Path, bundled: str, own: str) -> str:
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{what}: no {path}; name {bundled!r} or the {own}")
    return digest_of(path)
