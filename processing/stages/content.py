"""clip -> content: what its vocals sing, as frames of speech encoders, 50 a second."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from autosing.audio.io import decode
from autosing.config import Config
from autosing.device import device_of
from autosing.models.content import VERSION, EncoderConfig, load_content, parts_of
from autosing.schemas.features import Content
from autosing.stage import Stage


class ContentConfig(Config):
    """Who hears."""

    encoders: tuple[EncoderConfig, ...] = (EncoderConfig(),)
    """Several stand side by side in one array, in this order."""
    files: dict[str, str] = Field(default_factory=dict)
    """Encoder -> its file of weights, where it is not one that `autosing models` brings. Tables depend on what is in
    the file, not on where it lies."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class ClipVocals:
    """What is read of a clip."""

    id: str
    vocals: bytes


class HearContent(Stage[ClipVocals, Content]):
    """By autosing.models.content. Silence has content too, so no clip is rejected."""

    name = "content"
    version = VERSION
    reads = ("segment",)
    takes = ClipVocals
    gives = Content
    Settings = ContentConfig
    config: ContentConfig

    def weights(self) -> dict[str, str]:
        """A file of the user's own is not one to be fetched, though it may be called as one that is."""
        files = self.config.files
        parts = parts_of(self.config.encoders, files)
        return {f"{part.name} (a file)" if part.name in files else part.name: part.digest for part in parts}

    def parts(self) -> tuple[dict[str, Any], ...]:
        return tuple(part.dump() for part in parts_of(self.config.encoders, self.config.files))

    def setup(self) -> None:
        self._hear = load_content(self.config.encoders, self.config.files, device_of(self.config.device))

    def apply(self, row: ClipVocals) -> Content:
        return Content(row.id, self._hear(decode(row.vocals, f"vocals of {row.id}")))
