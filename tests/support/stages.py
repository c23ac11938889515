"""Two cheap stages under the names of real ones, and songs for them: commits are tested on these, without models."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autosing.audio.io import Audio, encode
from autosing.config import Config
from autosing.ids import seed_of
from autosing.schemas.tables import Clip, Line, Pitch, Song, Word
from autosing.stage import Rejected, Stage
from autosing.storage.store import Place
from autosing.storage.tables import TableWriter, table_path

RATE_HZ = 8000


@dataclass(frozen=True)
class Heard:
    id: str
    audio: bytes
    artist: str | None = None


class CutConfig(Config):
    clips: int = 3
    """Clips a song."""


class Cut(Stage[Heard, Clip]):
    """song -> clips, or a Rejected for each fifth song."""

    name, version, reads, takes, gives, Settings = "segment", 1, ("index",), Heard, Clip, CutConfig

    def apply(self, row: Heard) -> list[Clip] | Rejected:
        if row.id.endswith("4"):
            return Rejected(row.id, "no_singing", "0 s of singing, need 1 s")
        assert isinstance(self.config, CutConfig)
        line, word = Line("la", 0.1, 0.9, 0.9, True), Word("la", 0.1, 0.9, 0.9, 0)
        return [
            Clip(
                f"{row.id}-{k}", row.id, row.artist, "en", "CC0-1.0", float(k), 1.0, 1.0, row.audio, None,
                [line], [word],
            )
            for k in range(self.config.clips)
        ]  # fmt: skip


@dataclass(frozen=True)
class Vocals:
    id: str
    vocals: bytes


class Tone(Stage[Vocals, Pitch]):
    """clip -> pitch, or a Rejected for the last clip of a song."""

    name, version, reads, takes, gives = "pitch", 1, ("segment",), Vocals, Pitch

    def apply(self, row: Vocals) -> Pitch | Rejected:
        if row.id.endswith("-2"):
            return Rejected(row.id, "mostly_unvoiced", "0% of frames voiced, need 20%")
        return Pitch(row.id, np.full(100, 200.0 + len(row.vocals) % 100, np.float32), 1.0)


def cheap_stages(clips: int = 3) -> list[Stage]:
    """index -> segment -> pitch."""
    return [Cut(CutConfig(clips=clips)), Tone(Config())]


def cheap_corpus(folder: Place, partitions: int = 3, songs: int = 3) -> None:
    """Songs of one second of noise, a singer for each two."""
    for partition in range(partitions):
        with TableWriter(table_path(folder, partition, "index"), Song) as writer:
            for k in range(partition * songs, (partition + 1) * songs):
                rng = np.random.default_rng(seed_of("noise", k))
                noise_1S = 0.1 * rng.standard_normal((1, RATE_HZ)).astype(np.float32)
                writer.add(Song(f"s{k}", encode(Audio(noise_1S, RATE_HZ)), artist=f"singer{k // 2}"))
            writer.commit("index", 1, songs, {"stage": "index", "partition": partition})


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Name -> content of every file below a folder; hidden ones, which no reader looks at, among them."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
