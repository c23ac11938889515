"""clip -> score: words, syllables, phones and notes, with their times."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from autosing.config import Config
from autosing.errors import InputError
from autosing.schemas.features import ClipScore
from autosing.score.cut import cut
from autosing.score.made import score_of_truth
from autosing.score.score import Score
from autosing.songs.truth import load_truth
from autosing.stage import Rejected, Stage


class ScoreConfig(Config):
    """Where scores come from."""

    truth: str | None = None
    """The folder of the `autosing songs` that the corpus was made with: their truth is their score."""


@dataclass(frozen=True)
class ClipToScore:
    """What is read of a clip."""

    id: str
    song: str
    start_s: float
    duration_s: float


class WriteScore(Stage[ClipToScore, ClipScore]):
    """From the truth of made songs."""

    name = "score"
    version = 1
    reads = ("segment",)
    takes = ClipToScore
    gives = ClipScore
    Settings = ScoreConfig
    config: ScoreConfig

    def weights(self) -> dict[str, str]:
        """What lies in the folder of the truth decides the table as weights do."""
        if self.config.truth is None:
            return {}
        whole = hashlib.sha256()
        for path in sorted(Path(self.config.truth).glob("truth/*/truth.json")):
            whole.update(f"{path.parent.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return {"truth": whole.hexdigest()}

    def setup(self) -> None:
        if self.config.truth is not None and not (Path(self.config.truth) / "truth").is_dir():
            raise InputError(f"score: truth {self.config.truth}: no folder 'truth' in it; give one of `autosing songs`")
        self._song: tuple[str, Score] | None = None

    def apply(self, row: ClipToScore) -> ClipScore | Rejected:
        if self.config.truth is None:
            return Rejected(row.id, "no_score", "no truth of a made song")
        score = cut(self._truth(row.song), row.start_s, row.start_s + row.duration_s)
        if not score.words:
            return Rejected(row.id, "no_words", f"no whole word of the song in {row.duration_s:.1f} s")
        return ClipScore(row.id, "made", score.to_json().decode())

    def _truth(self, song: str) -> Score:
        """Clips of one song come one after the other: its score is read once."""
        held = self._song
        if held is None or held[0] != song:
            assert self.config.truth is not None
            held = self._song = (song, score_of_truth(load_truth(Path(self.config.truth), song)))
        return held[1]
