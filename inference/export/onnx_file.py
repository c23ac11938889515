"""A module and example tensors -> an .onnx file, and proof that it computes the same.

By torch's exporter of traces: graphs of these models take it seconds, where that of torch.export takes minutes and
another package. What it does not know of ONNX is told here.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autosing.errors import InputError
from autosing.storage.store import write_whole

OPSET = 18
TOLERANCE = 1e-4
"""How far a number of onnxruntime may be from torch's, in the larger of 1 and the largest number."""


@dataclass(frozen=True)
class Given:
    """An input: an example, and which of its axes may be of any length, by name."""

    example: Tensor
    axes: Mapping[int, str]


def check_packages() -> None:
    """Raises InputError where a package that writes or runs ONNX is missing."""
    for name in ("onnx", "onnxruntime"):
        try:
            __import__(name)
        except ImportError:
            raise InputError(f"export: {name} not installed; run pip install 'autosing[songs]'") from None


def write_onnx(
    module: nn.Module, path: Path, given: Mapping[str, Given], made: Mapping[str, Mapping[int, str]],
    notes: Mapping[str, Any],
) -> float:  # fmt: skip
    """Writes the file; returns how far its numbers are from torch's on the examples.

    made: outputs and their axes of any length. notes: kept in the file's metadata.
    """
    import onnx

    examples = tuple(one.example for one in given.values())
    _tell_exporter()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with torch.no_grad(), warnings.catch_warnings():
        # Of branches that are taken by sizes which never change.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), examples, str(partial), input_names=list(given), output_names=list(made),
            dynamic_axes={name: dict(one.axes) for name, one in given.items()} | {n: dict(a) for n, a in made.items()},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    model = onnx.load(str(partial))
    partial.unlink()
    _add_unused(model, given)
    for key, value in notes.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"autosing.{key}", value if isinstance(value, str) else json.dumps(value)
    onnx.checker.check_model(model)
    write_whole(path, model.SerializeToString())
    return difference(module, path, examples)


def difference(module: nn.Module, path: Path, examples: Sequence[Tensor]) -> float:
    """The largest difference between what the file and the module make of these inputs."""
    with torch.no_grad():
        wanted = module(*examples)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    found = run_onnx(path, examples)
    worst = 0.0
    for ours, theirs in zip(wanted, found, strict=True):
        ours = ours.numpy().astype(np.float64)
        largest = float(np.abs(ours).max(initial=1.0))
        worst = max(worst, float(np.abs(ours - theirs).max(initial=0.0)) / largest)
    assert worst <= TOLERANCE, f"{path}: {worst:.2g} from torch, need {TOLERANCE:g}"
    return worst


def run_onnx(path: Path, inputs: Sequence[Tensor]) -> list[np.ndarray]:
    """What onnxruntime makes of the inputs, in the graph's order."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    found: list[np.ndarray] = session.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True)})
    return found


def _tell_exporter() -> None:
    """Tensor.mT, the exchange of the last two axes."""
    from torch.onnx import register_custom_op_symbolic  # type: ignore[attr-defined]
    from torch.onnx.symbolic_helper import _get_tensor_rank

    def exchange(graph: Any, x: Any) -> Any:
        rank = _get_tensor_rank(x)
        assert rank is not None, x
        return graph.op("Transpose", x, perm_i=[*range(rank - 2), rank - 1, rank - 2])

    register_custom_op_symbolic("aten::mT", exchange, OPSET)


def _add_unused(model: Any, given: Mapping[str, Given]) -> None:
    """Inputs of which nothing follows are inputs all the same, in their order: callers give them."""
    import onnx

    kept = {one.name: one for one in model.graph.input}
    types = {
        torch.float32: onnx.TensorProto.FLOAT,
        torch.int64: onnx.TensorProto.INT64,
        torch.bool: onnx.TensorProto.BOOL,
    }
    del model.graph.input[:]
    for name, one in given.items():
        shape = [one.axes.get(axis, size) for axis, size in enumerate(one.example.shape)]
        model.graph.input.append(
            kept.get(name) or onnx.helper.make_tensor_value_info(name, types[one.example.dtype], shape)
        )
