"""clip -> content: what is sung in its vocals, as frames of speech encoders at 50 Hz."""

from typing import Any, Literal

from pydantic import Field

from autosing.config import Config
from autosing.device import device_of
from autosing.models.content import VERSION, EncoderConfig, load_content, parts_of
from autosing.schemas.features import Content
from autosing.stage import Stage
from processing.stages.clip import ClipVocals


class ContentConfig(Config):
    """Which speech encoders to use."""

    encoders: tuple[EncoderConfig, ...] = (EncoderConfig(),)
    """The outputs of several encoders are concatenated into one array, in this order."""
    files: dict[str, str] = Field(default_factory=dict)
    """Encoder -> its file of weights, if it is not one that `autosing models` fetches. Tables depend on the file's
    content, not on where it lies."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


class EncodeContent(Stage[ClipVocals, Content]):
    """Runs autosing.models.content. Silence has content too, so no clip is rejected."""

    name = "content"
    version = VERSION
    reads = ("segment",)
    takes = ClipVocals
    gives = Content
    Settings = ContentConfig
    config: ContentConfig

    def weights(self) -> dict[str, str]:
        """The user's own files get a name of their own, so that they are not fetched as the weights of that name."""
        files = self.config.files
        parts = parts_of(self.config.encoders, files)
        return {f"{part.name} (a file)" if part.name in files else part.name: part.digest for part in parts}

    def parts(self) -> tuple[dict[str, Any], ...]:
        return tuple(part.dump() for part in parts_of(self.config.encoders, self.config.files))

    def setup(self) -> None:
        self._encode = load_content(self.config.encoders, self.config.files, device_of(self.config.device))

    def apply(self, row: ClipVocals) -> Content:
        return Content(row.id, self._encode(row.audio))
