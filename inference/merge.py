"""Runs of one kind of model and of one shape -> a model whose weights are the weighted mean of theirs.

Means of weights sound where the models began as one (a run and what was tuned from it on other singers); models trained
apart have nothing to do with one another, weight by weight.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from autosing.checkpoint import WEIGHTS, ModelFile, describe_model, load_model, save_model
from autosing.errors import InputError

MADE_BY = "autosing merge"


def merge(runs: Sequence[Path], out: Path, weights: Sequence[float] = ()) -> dict[str, Any]:
    """Writes the model into `out`; returns a summary row. Weights are divided by their sum; none given: all equal. A
    model of weight 1 among zeros comes out as it is, to the bit.

    Raises InputError where models are not of one kind, config and set of tensors, weights do not fit them, or `out`
    holds a model that this function did not write.
    """
    shares = _shares(runs, weights)
    _check_out(runs, out)
    first = load_model(runs[0])
    sums = {name: torch.zeros_like(tensor, dtype=torch.float64) for name, tensor in first.state.items()}
    for run, share in zip(runs, shares, strict=True):
        other = load_model(run, first.kind)
        _check_alike(runs[0], first, run, other)
        for name, tensor in other.state.items():
            if share:  # nothing times infinity would be no number
                sums[name] += share * tensor.double()
    # Counts and codes are no fractions: the first model's stay.
    state = {
        name: sums[name].to(tensor.dtype) if tensor.is_floating_point() else tensor
        for name, tensor in first.state.items()
    }
    parts = [{"run": str(run), "weight": share} for run, share in zip(runs, shares, strict=True)]
    save_model(out, first.kind, first.config, state, {**first.extra, "made_by": MADE_BY, "merged": parts})
    return {"model": str(out), "kind": first.kind, "of": len(runs), "tensors": len(state)}


def _shares(runs: Sequence[Path], weights: Sequence[float]) -> list[float]:
    if len(runs) < 2:
        raise InputError(f"merge: {len(runs)} runs given; need two or more")
    weights = list(weights) or [1.0] * len(runs)
    if len(weights) != len(runs):
        raise InputError(f"--weights: {len(weights)} given for {len(runs)} runs; need one each")
    if min(weights) < 0 or not 0 < sum(weights) < float("inf"):
        raise InputError(f"--weights {','.join(f'{w:g}' for w in weights)}: need 0 or more each, one above 0")
    return [weight / sum(weights) for weight in weights]


def _check_alike(run: Path, first: ModelFile, other_run: Path, other: ModelFile) -> None:
    unlike = sorted(
        key for key in first.config.keys() | other.config.keys() if first.config.get(key) != other.config.get(key)
    )
    if unlike:
        key = unlike[0]
        raise InputError(
            f"merge: {key} is {first.config.get(key)} in {run}, {other.config.get(key)} in {other_run}; need models of "
            "one shape, such as a run and what was tuned from it"
        )
    lost = sorted(
        name
        for name in first.state.keys() | other.state.keys()
        if name not in first.state or name not in other.state or first.state[name].shape != other.state[name].shape
    )
    if lost:
        raise InputError(f"merge: {lost[0]} is not in both {run} and {other_run}, or of another size; need the same")


def _check_out(runs: Sequence[Path], out: Path) -> None:
    if any(out.resolve() == run.resolve() for run in runs):
        raise InputError(f"--out {out}: is one of the runs; give another folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; give a folder")
    if (out / WEIGHTS).exists() and describe_model(out).extra.get("made_by") != MADE_BY:
        raise InputError(f"--out {out}: holds a model that '{MADE_BY}' did not write; give another folder")
