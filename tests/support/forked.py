"""Processes forked from a server that has imported what the tests' functions need and done nothing else.

So a hundred of them cost one start. A fork of the test's own process would not do: polars and torch hang in a fork of a
process that has used them.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from typing import Any

from ray import cloudpickle

_PRELOADED = [
    "pytest.__main__", "ray.cloudpickle", "webdataset.writer", "pandas", "_strptime", "autosing.pretrained",
    "dataset_builder.build", "processing.engine.runner", "processing.engine.record", "processing.engine.worker",
    "processing.importer.importer", "processing.report", "train.launch", "train.tasks.codec", "train.tasks.semantic",
    "torch.utils.tensorboard", "torch.distributed.fsdp", "torch.distributed.tensor",
]  # fmt: skip
"""pyarrow imports pandas, if it is installed, with its first array: 1.7 CPU s that each process would spend anew."""


def fork_server() -> Any:
    """The multiprocessing context whose processes are forked from the server, which starts with the first of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def pickled(work: Callable[[], Any]) -> bytes:
    """A function, a lambda too, for another process; what its module defines goes along."""
    cloudpickle.register_pickle_by_value(sys.modules[work.__module__])
    data: bytes = cloudpickle.dumps(work)
    return data


def take_environment(environment: dict[str, str]) -> None:
    """In a child: the server's variables are those of its start."""
    os.environ.clear()
    os.environ.update(environment)
