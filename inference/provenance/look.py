"""An audio file -> what it says of where it comes from: its tags, its watermark, and the record beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosing.audio.blocks import reading
from autosing.errors import InputError
from inference.files import Standing, standing_of
from inference.provenance.origin import COMMAND, VERSION
from inference.provenance.tags import read_tags
from inference.provenance.watermark import MISSING, Heard, heard_in, watermark_here

_NO_PROOF = "that does not show that it is a recording"


@dataclass(frozen=True)
class Found:
    """What was found of one file."""

    file: Path
    sample_rate_hz: int
    channels: int
    tags: Mapping[str, str]
    """Those of autosing."""
    watermark: Heard | None
    """None where its package is not installed."""
    record: Standing | None

    @property
    def verdict(self) -> str:
        """In one line, no more than was found."""
        if self.tags:
            made_by = f"{self.tags.get(COMMAND, 'autosing')} {self.tags.get(VERSION, '')}".strip()
            return f"a synthetic voice, made by '{made_by}': its tags say so"
        if self.record is not None and self.record.same:
            return f"a synthetic voice, made by '{self.record.made_by}': {self.record.record.name} beside it says so"
        if self.watermark is not None and self.watermark.found:
            return "marked as made by a machine, by autosing or another program that uses Perth"
        return f"nothing found: {_NO_PROOF}"

    def rows(self) -> list[dict[str, Any]]:
        """For people."""
        tags = self.tags or {"tags": f"no tags of autosing: {_NO_PROOF}"}
        facts = {**tags, "watermark": self._watermark_says(), "record": self._record_says()}
        return [{"what": what, "found": found} for what, found in facts.items()]

    def facts(self) -> dict[str, Any]:
        """For programs."""
        mark, record = self.watermark, self.record
        return {
            "file": str(self.file), "sample_rate_hz": self.sample_rate_hz, "channels": self.channels,
            "tags": dict(self.tags),
            "watermark": mark and {
                "found": mark.found, "doubtful": mark.doubtful, "confidence": round(mark.confidence, 3),
                "marked_share": round(mark.marked_share, 3), "seconds": round(mark.seconds, 3),
            },
            "record": record and {
                "file": str(record.record), "made_by": record.made_by, "finished": record.finished,
                "same": record.same,
            },
        }  # fmt: skip

    def _watermark_says(self) -> str:
        mark = self.watermark
        if mark is None:
            return f"not looked for: {MISSING}"
        if not mark.seconds:
            return "none: nothing sounds in this file"
        measured = f"confidence {mark.confidence:.2f}, {mark.marked_share:.0%} of {mark.seconds:.1f} s"
        if mark.doubtful:
            return f"in doubt ({measured}): a mark that suffered, or none"
        return f"found, Perth's ({measured})" if mark.found else f"not found ({measured}): {_NO_PROOF}"

    def _record_says(self) -> str:
        record = self.record
        if record is None:
            return "none beside it names this file"
        if not record.same:
            return (
                f"{record.record.name} names it with another digest: it was changed since '{record.made_by}' wrote it"
            )
        unfinished = "" if record.finished else "; that run was not finished"
        return f"{record.record.name} holds its digest: it is as '{record.made_by}' wrote it{unfinished}"


def look(path: Path) -> Found:
    """Raises InputError: no such file, no audio, damaged."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder, need an audio file; name one in it")
    with reading(path) as reader:
        rate, channels = reader.sample_rate_hz, reader.channels
    mark = watermark_here()
    heard = heard_in(path, mark) if mark else None
    return Found(path, rate, channels, read_tags(path), heard, standing_of(path))
