"""muP: every tunable steers something, every parameter learns at its own rate, and width changes little."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autosing.models.presets import SHAPES, Shape
from autosing.models.sm2a import load_sm2a
from autosing.models.t2s import load_t2s
from autosing.nn.mup import Linear, Tunables, parameter_groups
from support.clips import made_clip, made_index
from support.datasets import make_dataset
from support.models import stir
from train.launch import train
from train.tasks.sm2a import TrainSM2A
from train.tasks.t2s import TrainT2S

TASKS = {"t2s": TrainT2S, "sm2a": TrainSM2A}
CHANGED = {
    "base_width": 96, "init_std": 2.0, "embedding_std": 0.6, "embedding_lr_scale": 3.0, "projector_lr_scale": 1.0,
    "output_mult": 2.0, "query_mult": 0.5, "weight_decay": 0.3,
}  # fmt: skip


def made_task(kind: str, tunables: Tunables, shape: Shape = SHAPES["debug"]) -> Any:
    torch.manual_seed(0)
    cls = TASKS[kind]
    return cls(cls.Settings(semantic=None, shape=shape, tunables=tunables), made_index())


def batch_of(task: Any) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    return task.collate([task.prepare(made_clip(seed, 1.5), rng) for seed in range(2)])


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("field", CHANGED)
def test_every_tunable_steers_init_forward_or_optimiser(kind: str, field: str) -> None:
    """AutoSing's TM2S handed its parent a fresh default object: what the user set was ignored."""
    assert set(CHANGED) == set(Tunables.model_fields)
    usual, other = (made_task(kind, t) for t in (Tunables(), Tunables(**{field: CHANGED[field]})))
    start = {name: value for name, value in usual.model.state_dict().items()}
    init = any(not torch.equal(value, start[name]) for name, value in other.model.state_dict().items())
    groups = [[(g["lr_scale"], g["weight_decay"]) for g in t.parameter_groups("model")] for t in (usual, other)]
    stir(usual.model)
    other.model.load_state_dict(usual.model.state_dict())
    batch = batch_of(usual)
    forward = not torch.equal(
        usual.loss(batch, 0, usual.counts(batch))[0], other.loss(batch, 0, other.counts(batch))[0]
    )
    expected = {
        "init_std": (True, False, False), "embedding_std": (True, False, False),
        "output_mult": (False, True, False), "query_mult": (False, True, False),
        # Logits of sm2a go through matrices alone, not through a table.
        "base_width": (False, kind == "t2s", True),
    }.get(field, (False, False, True))  # fmt: skip
    assert (init, forward, groups[0] != groups[1]) == expected


@pytest.mark.parametrize(("kind", "load"), [("t2s", load_t2s), ("sm2a", load_sm2a)])
def test_what_is_set_for_a_run_is_in_the_model_that_sings(kind: str, load: Any, tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", {"train": 2}, groups=("meta", "semantic", "acoustic", "singer"))
    words = [f"task.tunables.{field}={value}" for field, value in CHANGED.items()]
    train(
        kind,
        tmp_path / "data",
        tmp_path / "run",
        overrides=["steps=1", "batch_size=2", "task.size=debug", "task.semantic=null", *words],
    )
    model = load(tmp_path / "run")
    assert model.config.tunables == Tunables(**CHANGED)
    assert model.decoder.blocks[0].cross.scale == CHANGED["query_mult"] * 8 / 32


@pytest.mark.parametrize("kind", TASKS)
def test_every_parameter_is_in_one_group_and_matrices_learn_by_their_fan_in(kind: str) -> None:
    model = made_task(kind, Tunables()).model
    groups = parameter_groups(model, Tunables())
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    by_id = {id(p): group for group in groups for p in group["params"]}
    up, down = model.decoder.blocks[0].mlp.up, model.decoder.blocks[0].mlp.down
    assert isinstance(down, Linear) and by_id[id(down.weight)]["lr_scale"] == 192 / (4 * 64)
    assert by_id[id(down.weight)]["weight_decay"] == 0.1 and by_id[id(up.bias_O)]["weight_decay"] == 0
    assert by_id[id(model.decoder.norm.weight)]["lr_scale"] == 1.0
    assert not model.state_dict()["decoder.blocks.0.cross.query_gate.weight"].any(), "queries start at zero"


@pytest.mark.parametrize("kind", TASKS)
def test_a_few_steps_move_the_outputs_alike_at_every_width(kind: str) -> None:
    """The coordinate check: with one base rate, what steps do to the decoder's output and to the loss hardly depends
    on width, while plain Adam (every rate the same) moves a wide model far more."""

    def moved(width: int, mup: bool) -> float:
        shape = Shape(
            width=width, heads=width // 32, key_heads=width // 32, text_layers=1, music_layers=1, decoder_layers=2
        )
        task = made_task(kind, Tunables(), shape)
        batch = batch_of(task)
        groups = [
            {"params": g["params"], "lr": 3e-3 * (g["lr_scale"] if mup else 1.0), "weight_decay": 0.0}
            for g in task.parameter_groups("model")
        ]
        optimiser = torch.optim.AdamW(groups)
        heard: list[torch.Tensor] = []
        task.model.decoder.blocks[-1].mlp.register_forward_hook(lambda *args: heard.append(args[2].detach()))
        for step in range(5):
            optimiser.zero_grad()
            task.loss(batch, step, task.counts(batch))[0].backward()
            optimiser.step()
        return float((heard[-1] - heard[0]).square().mean().sqrt())

    narrow, wide = moved(64, True), moved(256, True)
    assert 0.4 < wide / narrow < 2.5, (narrow, wide)
    assert moved(256, False) / moved(64, False) > 1.4 * wide / narrow
