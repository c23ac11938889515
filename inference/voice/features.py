"""A source's sound -> what is read of it: content, pitch, loudness. A window at a time, kept by digest on the disk.

The source lies in a mapped file of one channel at 16 kHz, and content in another, so memory does not grow with its
length. Windows are the same whatever the chunks that are sung later.

Shapes: S samples at 16 kHz, N content frames (50 Hz), D numbers of content, T values at 100 Hz.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from autosing.audio.blocks import reading
from autosing.audio.io import Audio
from autosing.audio.loudness import frame_loudness_db
from autosing.audio.pitch import PitchTracker, TrackerName, load_tracker, tracker_version
from autosing.errors import InputError
from autosing.models.content import VERSION, Content, load_content
from autosing.models.told import content_at
from autosing.schemas.records import Part
from autosing.storage.store import attempt
from inference.voice.mapped import Mapped

RATE_HZ = 16_000
_WINDOW_S, _EDGE_S = 60, 1
"""Pitch and loudness are read in windows of a minute, with a second of the neighbours on both sides."""
KEPT_BYTES = 2 << 30
"""Of all sources together; those used longest ago go first."""


@dataclass(frozen=True)
class Features:
    """Of one source."""

    content_ND: np.ndarray
    f0_hz_T: np.ndarray
    loudness_db_T: np.ndarray
    num_samples: int
    """At 16 kHz."""
    mapped: Mapped | None = None
    """What content is read from, where it lies in a file."""

    def rest(self) -> None:
        """Content that was looked at need not be held any longer."""
        if self.mapped is not None:
            self.mapped.rest()

    @property
    def duration_s(self) -> float:
        return self.num_samples / RATE_HZ

    def content_at(self, times_s_F: np.ndarray) -> np.ndarray:
        """content_FD at such times."""
        return content_at(self.content_ND, times_s_F)


class Reader:
    """Hears sources; the encoders are loaded once, when the first source that is not kept comes."""

    def __init__(
        self,
        parts: tuple[Part, ...],
        files: dict[str, str] | None = None,
        tracker: TrackerName = "fcpe",
        device: str = "cpu",
        kept: Path | None = None,
    ) -> None:
        """`kept`: a folder for features of sources, or None."""
        self._parts, self._files, self._tracker, self._device, self._kept = parts, files, tracker, device, kept
        self._loaded: tuple[Content, PitchTracker] | None = None

    def read(self, source: Path, work: Path) -> Features:
        """`work`: a folder for what is needed on the way. Raises InputError where the file is no audio, or damaged."""
        audio, digest = _mapped(source, work / "source.f32")
        if self._kept is None:
            return self._heard(audio, work)
        target = self._kept / self._key(digest)
        if not target.is_dir():
            self._kept.mkdir(parents=True, exist_ok=True)
            with attempt(target) as beside:
                whole = beside / "whole"
                whole.mkdir()
                self._heard(audio, whole)
                whole.rename(target)
            _forget_old(self._kept, target)
        target.touch()
        return _opened(target, len(audio.array))

    def _heard(self, audio: Mapped, folder: Path) -> Features:
        if self._loaded is None:
            content = load_content(self._parts, self._files, self._device)
            self._loaded = (content, load_tracker(self._tracker, self._device))
        content, track = self._loaded
        blocks = audio.resting(content.blocks(Audio(audio.array[None], RATE_HZ)))
        _write_rows(folder / "content.npy", blocks, content.width)
        np.save(folder / "f0.npy", _by_windows(audio, lambda part_S: track(part_S, RATE_HZ)))
        loudness_db_T = _by_windows(audio, lambda part_S: frame_loudness_db(Audio(part_S[None], RATE_HZ)))
        np.save(folder / "loudness.npy", loudness_db_T)
        return _opened(folder, len(audio.array))

    def _key(self, digest: str) -> str:
        facts: dict[str, Any] = {
            "source": digest, "content": [part.dump() for part in self._parts], "version": VERSION,
            "tracker": [self._tracker, tracker_version(self._tracker)], "windows": [_WINDOW_S, _EDGE_S],
        }  # fmt: skip
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _mapped(source: Path, raw: Path) -> tuple[Mapped, str]:
    """(audio_S of one channel at 16 kHz, sha256 of its samples)."""
    digest = hashlib.sha256()
    with reading(source) as reader, raw.open("wb") as file:
        for block_CS in reader.mono_blocks(RATE_HZ):
            block = block_CS[0].astype(np.float32).tobytes()
            digest.update(block)
            file.write(block)
    if raw.stat().st_size < RATE_HZ // 20 * 4:
        found = raw.stat().st_size / 4 / RATE_HZ
        raise InputError(f"--source {source}: {found:.3f} s of sound, need 0.05 s", "too_short")
    return Mapped.raw(raw), digest.hexdigest()


def _by_windows(audio: Mapped, read: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """values_T at 100 Hz of the whole, window by window."""
    hop, parts, audio_S = RATE_HZ // 100, [], audio.array
    for first in range(0, len(audio_S), _WINDOW_S * RATE_HZ):
        last = min(len(audio_S), first + _WINDOW_S * RATE_HZ)
        start = max(0, first - _EDGE_S * RATE_HZ)
        values_T = read(np.array(audio_S[start : last + _EDGE_S * RATE_HZ]))
        audio.rest()
        parts.append(values_T[(first - start) // hop :][: (last - first) // hop])
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _write_rows(path: Path, blocks: Iterator[np.ndarray], width: int) -> None:
    """An .npy of rows that come block by block; how many there are is written into its header at the end."""
    rows = 0
    with path.open("wb") as file:

        def header() -> None:
            facts = {"descr": "<f2", "fortran_order": False, "shape": (rows, width)}
            np.lib.format.write_array_header_1_0(file, facts)

        header()
        begin = file.tell()
        for block_ND in blocks:
            file.write(block_ND.astype("<f2").tobytes())
            rows += len(block_ND)
        file.seek(0)
        header()
        assert file.tell() == begin, "numpy leaves room for any number of rows in the header"


def _opened(folder: Path, num_samples: int) -> Features:
    content = Mapped.npy(folder / "content.npy")
    return Features(content.array, np.load(folder / "f0.npy"), np.load(folder / "loudness.npy"), num_samples, content)


def _forget_old(kept: Path, newest: Path) -> None:
    """Until what is left fits."""
    folders = sorted((path for path in kept.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    sizes = {path: sum(file.stat().st_size for file in path.iterdir() if file.is_file()) for path in folders}
    total = sum(sizes.values())
    for path in folders:
        if total > KEPT_BYTES and path != newest:
            rmtree(path, ignore_errors=True)
            total -= sizes[path]
