"""(sounds, a metric, its config) -> a figure: measured once, then read from a folder of figures by digest.

A figure is what JSON can hold, or an array. Equal samples, metric and config give the same key, so what is kept never
goes stale: a metric that changes must say so in its config. Each last sound has a file of its own; two processes that
write it at once lose one figure, which is then measured again.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autosing.storage.store import write_whole

MOST_FILES = 100_000
"""Of the folder; the files that were used longest ago go first. A file is some kilobytes."""


class Kept:
    """Without a folder figures are kept while the process lives."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self._files = folder, dict[str, dict[str, Any]]()
        self.hits = self.misses = 0
        if folder is not None:
            _forget_old(folder)

    def figure(
        self, metric: str, config: Mapping[str, Any], sounds: Sequence[np.ndarray], work: Callable[[], Any]
    ) -> Any:
        """`work()`, or what it gave before for these samples, metric and config. It gives what JSON can hold."""
        digests = [_digest(sound) for sound in sounds]
        key = hashlib.sha256(json.dumps([metric, config, digests], sort_keys=True).encode()).hexdigest()
        held = self._file(digests[-1])
        if key in held:
            self.hits += 1
            return held[key]
        self.misses += 1
        # Through JSON, so that the first answer is exactly that of later ones.
        held[key] = json.loads(json.dumps(work()))
        if self._folder is not None:
            path = _path(self._folder, digests[-1])
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(held, ensure_ascii=False).encode())
        return held[key]

    def array(
        self, metric: str, config: Mapping[str, Any], sounds: Sequence[np.ndarray], work: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """The same for a float32 array of one dimension, bit for bit."""
        text = self.figure(
            metric, config, sounds, lambda: base64.b64encode(np.asarray(work(), "<f4").tobytes()).decode()
        )
        return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)

    def _file(self, digest: str) -> dict[str, Any]:
        if digest not in self._files:
            path = None if self._folder is None else _path(self._folder, digest)
            self._files[digest] = _read(path) if path is not None else {}
        return self._files[digest]


def _digest(sound: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(sound, np.float32).tobytes()).hexdigest()


def _path(folder: Path, digest: str) -> Path:
    return folder / digest[:2] / f"{digest}.json"


def _read(path: Path) -> dict[str, Any]:
    """What is not readable is measured again."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    path.touch()
    return held if isinstance(held, dict) else {}


def _forget_old(folder: Path) -> None:
    paths = sorted(folder.glob("*/*.json"), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
    for path in paths[: max(0, len(paths) - MOST_FILES)]:
        path.unlink(missing_ok=True)
