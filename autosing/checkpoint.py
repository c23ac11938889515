"""A trained model <-> a folder with model.safetensors and model.json (to use, not to resume).

The description is also stored in the safetensors header, so weights and description are one file and one rename: a kill
between two renames cannot mix them. model.json is a copy for people and scripts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosing.errors import InputError
from autosing.storage.store import write_whole

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
FOLDED = "folded_weight_norms"
"""In `extra` where weight norms lie folded in the weights."""
_HEADER = "autosing"
_PACKAGE, _NAMED = Path(__file__).parent / "weights", "autosing-"


@dataclass(frozen=True)
class ModelFile:
    """What kind of model it is, the config it is built from, its weights, and what it must be used with."""

    kind: str
    """t2s, sm2a, codec, semantic ..."""
    config: dict[str, Any]
    state: dict[str, Tensor]
    extra: dict[str, Any] = field(default_factory=dict)
    """Digests of the codebooks of its codes, sample rates, its origin."""


def located(model: Path | str) -> Path:
    """The folder of a model: of one that comes with autosing (autosing-visinger ...) in the package, else as given."""
    name = str(model)
    folder = _PACKAGE / name.removeprefix(_NAMED)
    return folder if name.startswith(_NAMED) and "/" not in name and (folder / WEIGHTS).is_file() else Path(model)


def shipped() -> list[str]:
    """The names of the models that come with autosing."""
    return sorted(f"{_NAMED}{held.parent.name}" for held in _PACKAGE.glob(f"*/{WEIGHTS}"))


def save_model(
    folder: Path, kind: str, config: dict[str, Any], state: dict[str, Tensor], extra: dict[str, Any] | None = None
) -> None:
    """Write both files, each beside its final name and then renamed. Equal values give equal bytes."""
    from safetensors.torch import save

    description = {"kind": kind, "config": config, "extra": extra or {}}
    text = json.dumps(description, sort_keys=True, ensure_ascii=False)
    # Each is cloned, because safetensors refuses tensors that share storage.
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / WEIGHTS, save(tensors, {_HEADER: text}))
    pretty = json.dumps(description, sort_keys=True, ensure_ascii=False, indent=1)
    write_whole(folder / DESCRIPTION, pretty.encode())


def load_model(folder: Path, kind: str | None = None) -> ModelFile:
    """Read a run or model folder. Raises InputError: no model in it, not of autosing, or not of the wanted kind."""
    return _read(folder, kind, with_weights=True)


def describe_model(folder: Path, kind: str | None = None) -> ModelFile:
    """As load_model, without the weights and without torch."""
    return _read(folder, kind, with_weights=False)


def _read(folder: Path, kind: str | None, with_weights: bool) -> ModelFile:
    from safetensors import SafetensorError, safe_open

    path = located(folder) / WEIGHTS
    if not path.is_file():
        raise InputError(
            f"model {folder}: no {WEIGHTS} in it; give a run folder of 'autosing train', or one that comes with "
            f"autosing: {', '.join(shipped())}"
        )
    try:
        with safe_open(path, framework="pt" if with_weights else "numpy") as file:
            text = (file.metadata() or {}).get(_HEADER)
            names = file.keys() if with_weights else ()
            state = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not readable as safetensors ({error}); fetch or train it again") from None
    if text is None:
        raise InputError(f"{path}: holds no autosing description in its header; it was not saved by autosing")
    description = json.loads(text)
    if kind is not None and description["kind"] != kind:
        raise InputError(f"model {folder}: found a {description['kind']} model, need {kind}; give another folder")
    if with_weights:
        from autosing.packing import of_full_width

        state = of_full_width(state)
    return ModelFile(description["kind"], description["config"], state, description["extra"])


def restore(model: nn.Module, file: ModelFile, folder: Path) -> None:
    """Load the file's weights into a model of its config. Raises InputError if another version of autosing saved it."""
    if file.extra.get(FOLDED):
        from autosing.nn.folding import fold_weight_norms

        fold_weight_norms(model)
    try:
        model.load_state_dict(file.state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()[:120]
        raise InputError(
            f"model {folder}: its weights are not of this version's {file.kind} ({first} ...); train it again"
        ) from None
