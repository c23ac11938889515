"""A planned run and a Ray cluster -> the same run, one rank in each worker that Ray Train places. The only file of
`train` that knows Ray.

Ray Train starts the processes, joins them (nccl with GPUs, else gloo) and restarts them after a loss. Each is a rank
like any other (train.launch.run_rank) and continues from the run's last checkpoint. So the run folder and the dataset
must be reachable from every node.
"""

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autosing.cluster import ray_at
from autosing.console import note
from autosing.errors import InputError
from autosing.storage.store import place
from train.config import TrainConfig
from train.launch import Launcher, Plan, run_rank

_RESTARTS = 2
"""The run ends after so many failures of a worker. Machines that their owner takes back are not counted."""


def ray_launcher(address: str = "auto", ranks: int | None = None) -> Launcher:
    """For train.launch.train: runs on `ranks` processes of a cluster, by default one for each of its GPUs, or one.

    A rank takes `batch_size` samples for a backward pass: more ranks make a larger batch. The launcher also raises
    InputError if no Ray answers, if the cluster has no room for so many, and if a node cannot read the dataset.
    """
    return lambda plan, say: _launch(plan, address, ranks)


def _launch(plan: Plan, address: str, ranks: int | None) -> dict[str, Any]:
    # Ray Train keeps records of its own, which only serve this launch; checkpoints go into the run as usual.
    with ray_at(address, log_to_driver=True) as ray, tempfile.TemporaryDirectory() as records:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
        from ray.train.v2.api.exceptions import TrainingFailedError

        settled, held = TrainConfig.build(plan.config), ray.cluster_resources()
        on_gpu = settled.device == "cuda" or (settled.device == "auto" and held.get("GPU", 0) >= 1)
        ranks = ranks or (max(1, int(held.get("GPU", 0))) if on_gpu else 1)
        wanted = {"CPU": 1.0 + settled.workers} | ({"GPU": 1.0} if on_gpu else {})
        _check_room(held, wanted, ranks)
        trainer = TorchTrainer(
            _run_rank,
            train_loop_config=_as_dict(plan) | {"folder": str(Path.cwd())},
            scaling_config=ScalingConfig(num_workers=ranks, use_gpu=on_gpu, resources_per_worker=wanted),
            run_config=RunConfig(
                name="ray", storage_path=records, failure_config=FailureConfig(max_failures=_RESTARTS)
            ),
        )
        try:
            row: dict[str, Any] = trainer.fit().return_value
        except TrainingFailedError as error:
            for failure in getattr(error, "worker_failures", {}).values():
                if isinstance(failure, InputError):
                    raise failure from None
            raise
    return row


def _as_dict(plan: Plan) -> dict[str, Any]:
    return asdict(plan) | {"data": str(plan.data.absolute()), "run": str(plan.run.absolute())}


def _run_rank(given: dict[str, Any]) -> dict[str, Any]:
    if Path(given["folder"]).is_dir():
        os.chdir(given["folder"])  # a config may name files relative to the folder in which the command was given
    return run_rank(Plan(given["task"], place(given["data"]), Path(given["run"]), given["config"]), note)


def _check_room(held: dict[str, float], wanted: dict[str, float], ranks: int) -> None:
    """Raises InputError if the cluster is too small: Ray Train would wait forever for more nodes."""
    for name, share in wanted.items():
        if held.get(name, 0) < share * ranks:
            raise InputError(
                f"{ranks} ranks need {share * ranks:g} {name}, the cluster has {held.get(name, 0):g}; "
                "give a smaller --ranks, or add nodes first"
            )
