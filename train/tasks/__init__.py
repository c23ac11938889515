"""Task names -> the modules and classes of tasks. A task is imported only when it is used, as imports take seconds."""

import importlib

from autosing.errors import InputError
from train.task import Task

TASKS: dict[str, str] = {
    "t2s": "train.tasks.t2s:TrainT2S",
    "sm2a": "train.tasks.sm2a:TrainSM2A",
    "codec": "train.tasks.codec:TrainCodec",
    "semantic": "train.tasks.semantic:TrainSemantic",
    "vocoder": "train.tasks.vocoder:TrainVocoder",
    "svc_flow": "train.tasks.svc_flow:TrainSvcFlow",
    "svc_vits": "train.tasks.svc_vits:TrainSvcVits",
    "refiner": "train.tasks.refiner:TrainRefiner",
    "visinger": "train.tasks.visinger:TrainVisinger",
    "sts": "train.tasks.sts:TrainSts",
    "ctc_head": "train.tasks.ctc_head:TrainCTCHead",
}


def task_class(name: str) -> type[Task]:
    """The class of a task. Raises InputError for an unknown name, and lists those that exist."""
    if name not in TASKS:
        raise InputError(f"task {name!r}: unknown; need one of {', '.join(TASKS)}")
    module, _, attribute = TASKS[name].partition(":")
    found: type[Task] = getattr(importlib.import_module(module), attribute)
    return found
