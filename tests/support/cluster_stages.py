"""`autosing process` with two stages that take their time, for test_cluster.py: `python -m support.cluster_stages ...`.

A row's bytes say what happens to it: b"deadly" ends its worker as the kernel does, b"once FILE" does so unless FILE is
there, and makes FILE, b"slow" takes half a second (or $SLOW_S), b"meet FOLDER" waits until as many workers as the file
FOLDER/wanted says have come to such a row.
"""

import hashlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from autosing.config import Config
from autosing.stage import Stage


@dataclass(frozen=True)
class Heard:
    id: str
    audio: bytes


@dataclass(frozen=True)
class Digest:
    id: str
    digest: str
    size: int


@dataclass(frozen=True)
class Pair:
    id: str
    digest: str
    audio: bytes


@dataclass(frozen=True)
class Both:
    id: str
    text: str


class Listen(Stage[Heard, Digest]):
    name, version, reads, takes, gives = "listen", 1, ("index",), Heard, Digest

    def apply(self, row: Heard) -> Digest:
        if row.audio.startswith(b"deadly"):
            os.kill(os.getpid(), signal.SIGKILL)
        if row.audio.startswith(b"once ") and not (sign := Path(row.audio[5:].decode())).exists():
            sign.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if row.audio.startswith(b"slow"):
            time.sleep(float(os.environ.get("SLOW_S", "0.5")))
        if row.audio.startswith(b"meet "):
            folder = Path(row.audio[5:].decode())
            (folder / f"{os.getpid()}.here").touch()
            end = time.monotonic() + 120
            while len(list(folder.glob("*.here"))) < int((folder / "wanted").read_text()) and time.monotonic() < end:
                time.sleep(0.05)
        return Digest(row.id, hashlib.sha256(row.audio).hexdigest(), len(row.audio))


class Write(Stage[Pair, Both]):
    name, version, reads, takes, gives = "write", 1, ("listen", "index"), Pair, Both

    def apply(self, row: Pair) -> Both:
        return Both(row.id, f"{row.digest} of {len(row.audio)}")


def stages() -> list[Stage]:
    return [Listen(Config()), Write(Config())]


def make_corpus(folder: Path, partitions: list[list[bytes]]) -> Path:
    for k, rows in enumerate(partitions):
        (folder / str(k)).mkdir(parents=True)
        table = pa.table({"id": [f"s{k}-{i}" for i in range(len(rows))], "audio": pa.array(rows, pa.binary())})
        pq.write_table(table, folder / str(k) / "index.parquet")
    return folder


def tables(corpus: Path) -> dict[str, bytes]:
    return {str(p.relative_to(corpus)): p.read_bytes() for p in sorted(corpus.glob("*/*.parquet"))}


def main() -> None:
    from autosing.cli import main as autosing
    from processing import process

    # A shell that starts its commands in the background lets them ignore Ctrl-C, and what they start inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    vars(process)["build_stages"] = lambda config, names: stages()
    autosing()


if __name__ == "__main__":
    from support import cluster_stages  # by this name the workers find the classes

    cluster_stages.main()
