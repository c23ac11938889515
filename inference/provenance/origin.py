"""What made a sound -> the tags that its file carries, and a line of words about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import autosing
from autosing.checkpoint import WEIGHTS, located
from autosing.storage.store import digest_of

VOICE, VERSION, COMMAND, MODELS, SEED, WATERMARK = (
    f"AUTOSING_{name}" for name in ("VOICE", "VERSION", "COMMAND", "MODELS", "SEED", "WATERMARK")
)
SYNTHETIC = "synthetic voice"
NO_WATERMARK = "none"
UNKNOWN = "unknown"
"""The digest of a model that was given loaded; what a file's tags lack."""


@dataclass(frozen=True)
class Origin:
    """What made a sound. It holds no date and no path, so that the same request gives the same bytes."""

    made_by: str
    """The command: autosing sing ..."""
    models: Mapping[str, str]
    """Kind of model -> sha256 of its weights."""
    seed: int

    @property
    def sentence(self) -> str:
        """See `sentence_of`."""
        return sentence_of(self.tags(NO_WATERMARK))

    def tags(self, watermark: str) -> dict[str, str]:
        """None is empty. `watermark`: its name, or NO_WATERMARK."""
        found = {
            VOICE: SYNTHETIC,
            VERSION: autosing.__version__,
            COMMAND: self.made_by,
            MODELS: " ".join(f"{kind}={digest}" for kind, digest in self.models.items()),
            SEED: str(self.seed),
            WATERMARK: watermark,
        }
        return {key: text for key, text in found.items() if text}


def sentence_of(tags: Mapping[str, str]) -> str:
    """For programs that show a file's comment."""
    return f"Synthetic voice, made by '{tags.get(COMMAND, UNKNOWN)}' {tags.get(VERSION, UNKNOWN)}"


def digests_of(runs: Mapping[str, Path | None]) -> dict[str, str]:
    """Kind of model -> sha256 of the weights in its run, without those that are None."""
    return {kind: digest_of(located(run) / WEIGHTS) for kind, run in runs.items() if run is not None}
