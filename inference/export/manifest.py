"""What an export wrote -> export.json beside it: what each graph takes and gives, and what it must be told."""

import json
from pathlib import Path
from typing import Any

from autosing.storage.store import write_whole
from inference.export.weights import MADE_BY

MANIFEST = "export.json"


def write_manifest(out: Path, facts: dict[str, Any]) -> None:
    text = json.dumps({"made_by": MADE_BY, **facts}, indent=1, ensure_ascii=False)
    write_whole(out / MANIFEST, text.encode())


def made_by_us(path: Path) -> bool:
    """Whether the file is one that `write_manifest` wrote."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(held, dict) and held.get("made_by") == MADE_BY
