"""The training loop: what is resumed equals what was never interrupted; what is refused is refused in words."""

import gc
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from autosing.audio.io import Audio
from autosing.checkpoint import ModelFile, load_model
from autosing.config import Config
from autosing.errors import InputError
from support.datasets import make_dataset
from support.ranks import run_ranks
from train import callbacks, launch, tasks
from train.loop import run_steps
from train.record import read_metrics
from train.task import Task


class PairSettings(Config):
    width: int = 16
    dropout: float = 0.2
    loud: bool = False
    nan_at: tuple[int, ...] = ()


class Pair(Task):
    """A GAN over semantic codes: a generator of the next code, with dropout and a buffer that after_step moves, and a
    discriminator of what it makes."""

    name, Settings, members = "pair", PairSettings, ("semantic",)
    phases = ("discriminator", "generator")
    dtypes: ClassVar[set[torch.dtype]] = set()
    calls = 0
    """Of the generator."""

    def __init__(self, config, index):
        super().__init__(config, index)
        size = index.semantic.size
        generator = nn.Sequential(
            nn.Embedding(size, config.width), nn.Dropout(config.dropout), nn.Linear(config.width, size)
        )
        discriminator = nn.Sequential(nn.Linear(size, config.width), nn.GELU(), nn.Linear(config.width, 1))
        self.modules = nn.ModuleDict({"discriminator": discriminator, "generator": generator})
        self.modules["generator"].register_buffer("seen", torch.zeros(()))

    def prepare(self, sample, rng):
        codes = sample.array("semantic")
        start = rng.integers(0, len(codes) - 8)
        return {"codes": codes[start : start + 8].astype(np.int64)}

    def collate(self, items):
        return {"codes_BN": torch.as_tensor(np.stack([item["codes"] for item in items]))}

    def losses(self, batch, step, counts):
        codes_BN = batch["codes_BN"]
        Pair.calls += 1
        logits_BNV = self.modules["generator"](codes_BN[:, :-1])
        Pair.dtypes.add(logits_BNV.dtype)
        made_BNV = logits_BNV.float().softmax(2)
        true_BNV = torch.eye(made_BNV.shape[2])[codes_BN[:, 1:]]
        discriminate = self.modules["discriminator"]
        apart = nn.functional.softplus
        loss = apart(-discriminate(true_BNV)).mean() + apart(discriminate(made_BNV.detach())).mean()
        yield "discriminator", self.spoilt(loss, step), {}
        loss = nn.functional.cross_entropy(logits_BNV.flatten(0, 1).float(), codes_BN[:, 1:].flatten())
        loss = loss + 0.1 * apart(-discriminate(made_BNV)).mean()
        yield "generator", self.spoilt(loss, step), {"perplexity": loss.detach().exp()}

    def spoilt(self, loss, step):
        return loss * float("nan") if step in self.config.nan_at else loss

    def after_step(self, step):
        self.modules["generator"].seen += step

    def listen(self, step):
        return {"noise": Audio(torch.randn(1, 4000).numpy() * 0.1, 8000)}

    def export(self):
        return ModelFile("pair", {"width": self.config.width}, self.modules["generator"].state_dict())


class Quiet(Pair):
    """Nothing moves but weights: such a task does not wait for the device at each step."""

    name, after_step = "quiet", Task.after_step


@pytest.fixture
def data(tmp_path, monkeypatch):
    own = {"pair": Pair, "quiet": Quiet}
    monkeypatch.setattr(launch, "task_class", lambda name: own.get(name) or tasks.task_class(name))
    make_dataset(tmp_path / "data", groups=("meta", "semantic"))
    return tmp_path / "data"


WORDS = ("steps=8", "batch_size=3", "lr=0.01", "save_every=3", "valid_every=4", "listen_every=8", "log_every=1")


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(data, tmp_path):
    words = (*WORDS, "accumulate=2", "ema_decay=0.9", "device=cpu")
    launch.train("pair", data, tmp_path / "whole", overrides=words)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(callbacks.Run, "due", _interrupt_at(5))
        launch.train("pair", data, tmp_path / "cut", overrides=words)
    assert launch.train("pair", data, tmp_path / "cut", resume=True)["status"] == "resumed"
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
    last = "checkpoints/step-000000008.pt"
    held, other = (torch.load(run / last, weights_only=True) for run in (whole, cut))
    assert str(held) == str(other)
    assert _timeless(whole) == _timeless(cut)
    assert (whole / "config.yaml").read_text() == (cut / "config.yaml").read_text()


def _interrupt_at(step):
    due = callbacks.Run.due

    def interrupted(run, every):
        if run.state.step == step:
            raise KeyboardInterrupt
        return due(run, every)

    return interrupted


def _timeless(run):
    return [{k: v for k, v in row.items() if k != "samples_per_s"} for row in read_metrics(run)]


def test_a_run_leaves_all_that_was_promised_and_a_second_one_does_nothing(data, tmp_path):
    run = tmp_path / "run"
    said = []
    row = launch.train("pair", data, run, overrides=WORDS, say=said.append)
    assert row["status"] == "trained" and row["loss"] > 0 and row["valid_loss"] > 0 and said
    assert load_model(run, "pair").state["seen"] == 36
    assert len(list((run / "checkpoints").iterdir())) == 2
    assert (run / "samples" / "noise-000000008.wav").is_file() and list((run / "events").iterdir())
    head, values = (run / "config.yaml").read_text().split("\n", 1)
    assert head == "# autosing train pair" and "commit: " in values and "width: 16" in values and "seed: 0" in values
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert launch.train("pair", data, run, overrides=WORDS)["status"] == "already done"
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}


def test_a_run_goes_on_only_as_what_it_was_begun(data, tmp_path):
    run = tmp_path / "run"
    launch.train("pair", data, run, overrides=("steps=2", "save_every=1"))
    with pytest.raises(InputError, match="another lr"):
        launch.train("pair", data, run, overrides=("lr=1.0",))
    with pytest.raises(InputError, match="2 of 4 steps; add --resume"):
        launch.train("pair", data, run, overrides=("steps=4",))
    make_dataset(tmp_path / "other", groups=("meta", "semantic"), seed=1)
    with pytest.raises(InputError, match="was started with dataset"):
        launch.train("pair", tmp_path / "other", run, resume=True)
    assert launch.train("pair", data, run, overrides=("steps=4",), resume=True)["steps"] == 4


def test_bad_input_is_named_before_any_work(data, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(InputError, match="need one of t2s"):
        launch.train("tts", data, run)
    with pytest.raises(InputError, match="did you mean 'batch_size'"):
        launch.train("pair", data, run, overrides=("batchsize=3",))
    with pytest.raises(InputError, match="did you mean 'width'"):
        launch.train("pair", data, run, overrides=("task.witdh=3",))
    with pytest.raises(InputError, match=r"no index\.json"):
        launch.train("pair", tmp_path / "nowhere", run)
    make_dataset(tmp_path / "bare", groups=("meta", "pitch"))
    with pytest.raises(InputError, match="also needs semantic; build it with --members"):
        launch.train("pair", tmp_path / "bare", run)
    assert not run.exists()


def test_the_seed_is_all_the_chance_there_is_in_a_run(data, tmp_path):
    """AutoSing never applied --seed."""
    words = ("steps=2", "batch_size=3", "log_every=1", "device=cpu")
    models = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        launch.train("pair", data, tmp_path / name, overrides=(*words, f"seed={seed}"))
        models[name] = (tmp_path / name / "model.safetensors").read_bytes()
    assert models["one"] == models["again"] != models["other"]
    norms = [row["generator/grad_norm"] for row in read_metrics(tmp_path / "one") if "lr" in row]
    assert len(norms) == 2 and min(norms) > 0, "AutoSing's callback for it was never registered"


def test_false_is_false(data, tmp_path):
    """AutoSing's options of type bool took any word, "False" too, for true (bug 21)."""
    for word, wanted in (("False", False), ("false", False), ("true", True)):
        launch.train("pair", data, tmp_path / word, overrides=("steps=1", f"task.loud={word}"))
        assert f"loud: {str(wanted).lower()}" in (tmp_path / word / "config.yaml").read_text()
    with pytest.raises(InputError, match="loud"):
        launch.train("pair", data, tmp_path / "x", overrides=("task.loud='False'",))


@pytest.mark.parametrize(("precision", "wanted"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_uses_the_type_that_was_asked_for(data, tmp_path, precision, wanted):
    """AutoSing's autocast took no type, so bf16 ran as fp16."""
    Pair.dtypes.clear()
    launch.train("pair", data, tmp_path / "run", overrides=("steps=1", f"precision={precision}"))
    assert Pair.dtypes == {wanted}


@pytest.mark.parametrize(("known", "wanted"), [({"avx2": True}, torch.float32), ({"amx_bf16": True}, torch.bfloat16)])
def test_auto_takes_bf16_where_the_hardware_multiplies_it(data, tmp_path, monkeypatch, known, wanted):
    """A CPU without it took 20 times as long as with fp32."""
    Pair.dtypes.clear()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    said = []
    launch.train("pair", data, tmp_path / "run", overrides=("steps=1", "precision=auto", "device=cpu"), say=said.append)
    assert Pair.dtypes == {wanted} and ("bf16" if wanted == torch.bfloat16 else "fp32") in said[0]


@pytest.mark.parametrize("task", ["pair", "quiet"])
def test_non_finite_gradients_move_nothing_and_too_many_end_the_run(data, tmp_path, task):
    words = ("steps=3", "log_every=1", "task.nan_at=[2]", "schedule=const", "save_every=1", "keep_checkpoints=3")
    launch.train(task, data, tmp_path / "run", overrides=words)
    first, second, third = (
        torch.load(tmp_path / "run" / "checkpoints" / f"step-{k:09d}.pt", weights_only=True) for k in (1, 2, 3)
    )
    for part in ("modules", "optimisers"):
        torch.testing.assert_close(first[part], second[part], rtol=0, atol=0)
    assert (first["refused"], second["refused"], third["refused"]) == (0, 1, 0)
    assert str(second["modules"]) != str(third["modules"])
    rows = [row for row in read_metrics(tmp_path / "run") if "refused" in row]
    assert [row["refused"] for row in rows] == [0, 2, 0] and rows[1]["generator/loss"] is None
    with pytest.raises(InputError, match=r"step 2: .* 2 updates in a row were not finite .*--set lr="):
        launch.train(task, data, tmp_path / "wild", overrides=("max_refused=2", "task.nan_at=[1, 2]", "log_every=1"))


def test_a_run_whose_gradients_stay_non_finite_ends_before_anything_is_saved(data, tmp_path):
    words = ("steps=40", "log_every=10", "save_every=7", "max_refused=3", "task.nan_at=[9, 10, 11, 12]")
    with pytest.raises(InputError, match=r"step 10: .* 2 updates"):
        launch.train("quiet", data, tmp_path / "early", overrides=(*words, "max_refused=2"))
    with pytest.raises(InputError, match=r"step 14: .* 4 updates"):
        launch.train("quiet", data, tmp_path / "run", overrides=words)
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-000000007.pt"]
    counted = [row for row in read_metrics(tmp_path / "run") if "refused" in row]
    assert [row["refused"] for row in counted] == [4]


class Reads(TorchDispatchMode):
    """The steps at which the host reads a number of the device: there it waits for all that was launched before."""

    def __init__(self, state):
        super().__init__()
        self.state, self.steps = state, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            self.steps.add(self.state.step)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("task", "wanted"), [("quiet", {4, 8}), ("pair", set(range(1, 9)))])
def test_the_loop_reads_nothing_from_the_device_between_reports(data, tmp_path, monkeypatch, task, wanted):
    found = []

    def watched(run, *others):
        with Reads(run.state) as reads:
            run_steps(run, *others)
        found.append(reads.steps)

    monkeypatch.setattr(launch, "run_steps", watched)
    words = ("steps=8", "log_every=4", "save_every=8", "valid_every=8", "listen_every=8", "ema_decay=0.9")
    launch.train(task, data, tmp_path / "run", overrides=(*words, "device=cpu"))
    assert found == [wanted]


def test_a_phase_leaves_no_gradient_in_the_others_module(data, tmp_path, monkeypatch):
    left = []
    step = launch.run_steps.__globals__["_step"]

    def looking(run, optimiser, phase, window):
        left.append({name: [p.grad is not None for p in module.parameters()] for name, module in
                     run.task.modules.items()})  # fmt: skip
        return step(run, optimiser, phase, window)

    monkeypatch.setitem(launch.run_steps.__globals__, "_step", looking)
    launch.train("pair", data, tmp_path / "run", overrides=("steps=1",))
    assert left[0] == {"discriminator": [True] * 4, "generator": [False] * 3}
    assert left[1]["generator"] == [True] * 3


def test_a_step_of_a_gan_runs_its_generator_once_a_batch(data, tmp_path, monkeypatch):
    monkeypatch.setattr(Pair, "calls", 0)
    launch.train("pair", data, tmp_path / "run", overrides=("steps=3", "accumulate=2", "valid_batches=0"))
    assert Pair.calls == 3 * 2


def test_the_generator_meets_the_discriminator_that_has_just_stepped(data, tmp_path, monkeypatch):
    seen = []
    losses = Pair.losses

    def watching(self, batch, step, counts):
        shown = losses(self, batch, step, counts)
        first = self.modules["discriminator"][0].weight
        for phase in self.phases:
            seen.append((phase, first.detach().clone()))
            yield next(shown)

    monkeypatch.setattr(Pair, "losses", watching)
    launch.train("pair", data, tmp_path / "run", overrides=("steps=1", "lr=0.1", "valid_batches=0"))
    (first, before), (second, after) = seen
    assert (first, second) == Pair.phases and not torch.equal(before, after)


def test_a_phase_may_have_a_rate_of_its_own(data, tmp_path):
    words = ("steps=1", "lr=0.1", "schedule=const", "valid_batches=0")
    launch.train("pair", data, tmp_path / "a", overrides=(*words, "phases.generator.lr=1e-12"))
    launch.train("pair", data, tmp_path / "b", overrides=(*words, "phases={}"))
    still, moved = (load_model(tmp_path / name).state["2.weight"] for name in "ab")
    assert (still - moved).abs().max() > 0.05
    with pytest.raises(InputError, match=r"phases\.critic: task pair has discriminator, generator"):
        launch.train("pair", data, tmp_path / "c", overrides=("phases.critic.lr=1.0",))


def test_two_ranks_train_as_one_with_twice_the_batch(data, tmp_path):
    words = ["steps=3", "device=cpu", "log_every=1", "task.dropout=0.0"]

    def one_rank() -> None:
        leave = launch.leave

        def leave_without_reducers() -> None:
            assert not [held for held in gc.get_objects() if isinstance(held, DistributedDataParallel)]
            leave()

        launch.task_class, launch.leave = lambda name: Pair, leave_without_reducers
        launch.train("pair", data, tmp_path / "two", overrides=[*words, "batch_size=2"])

    run_ranks(one_rank)
    held = torch.load(tmp_path / "two/checkpoints/step-000000003.pt", weights_only=True)
    assert held["position"] == {"next": 12, "ahead": []} and held["step"] == 3
    launch.train("pair", data, tmp_path / "one", overrides=[*words, "batch_size=4"])
    one, two = (load_model(tmp_path / name).state for name in ("one", "two"))
    torch.testing.assert_close(one, two)
    for here, there in zip(_timeless(tmp_path / "one"), _timeless(tmp_path / "two"), strict=True):
        assert {k: v for k, v in here.items() if k.endswith("loss")} == pytest.approx(
            {k: v for k, v in there.items() if k.endswith("loss")}, rel=1e-4
        )
