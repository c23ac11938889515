"""clip -> semantic codes of its voice, at 25 Hz."""

from typing import Literal

from autosing.config import Config
from autosing.device import device_of
from autosing.schemas.tables import Semantic
from autosing.stage import Stage
from processing.stages.clip import ClipVocals


class TokenizeSemanticConfig(Config):
    """Which codebook to use."""

    codebook: str = "autosing-semantic"
    """The bundled codebook, or the folder of a run of `autosing train semantic`."""
    device: Literal["auto", "cpu", "cuda"] = "auto"


class TokenizeSemantic(Stage[ClipVocals, Semantic]):
    """A Whisper encoder through a fitted codebook (autosing.models.semantic)."""

    name = "semantic"
    version = 1
    reads = ("segment",)
    takes = ClipVocals
    gives = Semantic
    Settings = TokenizeSemanticConfig
    config: TokenizeSemanticConfig

    def weights(self) -> dict[str, str]:
        from autosing import pretrained
        from autosing.models.bundled import semantic_digest, semantic_encoder

        encoder = semantic_encoder(self.config.codebook)
        return {"codebook": semantic_digest(self.config.codebook), encoder: pretrained.digest(encoder)}

    def setup(self) -> None:
        from autosing.models.semantic import load_semantic

        self._tokenizer = load_semantic(self.config.codebook, device_of(self.config.device))
        self._tokenizer.load()

    def apply(self, row: ClipVocals) -> Semantic:
        return Semantic(row.id, self._tokenizer.tokenize(row.audio))
