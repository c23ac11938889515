"""A run -> its inference weights alone, weight norms folded into them; every command takes them as it takes the run.

Other norms stay: those of layers and instances are computed from what they are given, and no model here has norms of
batches.
"""

from pathlib import Path
from typing import Any

from autosing.checkpoint import FOLDED, WEIGHTS, load_model, save_model
from autosing.nn.folding import folded_state

MADE_BY = "autosing export"


def export_weights(run: Path, out: Path) -> list[dict[str, Any]]:
    """Writes the model into `out`; returns a summary row. Raises InputError where `run` holds no model."""
    file = load_model(run)
    state = folded_state(file.state)
    folded = len(file.state) - len(state)
    marks = {FOLDED: True} if folded or file.extra.get(FOLDED) else {}
    save_model(out, file.kind, file.config, state, {**file.extra, **marks, "made_by": MADE_BY})
    return [{
        "file": str(out / WEIGHTS), "kind": file.kind, "tensors": len(state), "norms_folded": folded,
        "bytes": (out / WEIGHTS).stat().st_size,
    }]  # fmt: skip
