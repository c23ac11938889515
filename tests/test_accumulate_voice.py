"""Two batches of two clips in one update are one batch of four: for a conversion model and for a vocoder's phases."""

import pytest
import torch

import train.launch
import train.loop
from autosing.checkpoint import load_model
from support.datasets import make_dataset
from tests.test_train_voice import SVC, VOCODER, VOICE
from train.optim import parameters_of

TASKS = {
    "svc_flow": [*SVC, "task.model.dropout=0", "task.drop_singer=0", "task.drop_content=0"],
    "vocoder": [*VOCODER, "task.adversarial_from=0"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    make_dataset(folder, {"train": 8, "valid": 2}, duration_s=0.6, groups=VOICE)
    return folder


def draw_alike(monkeypatch):
    """What a loss draws is the same for each clip, whichever batch it is in."""
    generator = torch.Generator().manual_seed(3)
    pattern = torch.randn(1 << 16, generator=generator)

    def randn_like(x, **how):
        size = x[0].numel()
        return pattern.repeat(-(-size // len(pattern)))[:size].view(1, *x.shape[1:]).expand_as(x).to(x)

    monkeypatch.setattr(torch, "randn_like", randn_like)
    monkeypatch.setattr(torch, "rand", lambda *size, **how: torch.full(size, 0.4))
    monkeypatch.setattr(torch, "randint", lambda *size, **how: torch.tensor(3))


@pytest.mark.parametrize("task", TASKS)
def test_accumulated_gradients_and_weights_are_those_of_the_large_batch(data, tmp_path, task, monkeypatch):
    draw_alike(monkeypatch)
    kept: list[list[torch.Tensor]] = []
    step_if = train.loop.step_if

    def step(optimiser, good):
        kept.append([p.grad.clone() for p in parameters_of(optimiser) if p.grad is not None])
        step_if(optimiser, good)

    monkeypatch.setattr(train.loop, "step_if", step)
    found = {}
    for name, size, times in (("large", 4, 1), ("small", 2, 2)):
        kept.clear()
        settings = [*TASKS[task], f"batch_size={size}", f"accumulate={times}", "steps=2", "listen_every=9"]
        train.launch.train(task, data, tmp_path / name, None, [*settings, "valid_batches=0"], False)
        found[name] = ([*kept], load_model(tmp_path / name, task).state)
    phases = 1 if task == "svc_flow" else 2
    (large, weights), (small, others) = found["large"], found["small"]
    assert len(large) == len(small) == 2 * phases
    for first, second in zip(large[:phases], small[:phases], strict=True):
        scale = max(float(gradient.abs().max()) for gradient in first)
        for here, there in zip(first, second, strict=True):
            torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-4 * scale)
    # Adam's first steps are as large for a gradient of 1e-9, so single weights may go the other way.
    away = torch.cat([(weights[name] - others[name]).abs().flatten() for name in weights])
    assert float((away < 1e-4).float().mean()) > 0.99 and float(away.mean()) < 3e-5, "of steps of 1e-3 and more"
