"""Runs of svc_flow that begin with another: tuning moves every part, reflow straightens, a student needs one step."""

import pytest
import torch

from autosing.checkpoint import load_model, save_model
from autosing.errors import InputError
from autosing.models.acoustic import new_space
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig, load_svc_flow
from autosing.models.told import Sampling
from autosing.nn.flow_matching import FlowConfig, sample
from autosing.schemas.sample import DatasetIndex
from support.datasets import CONTENT, make_dataset
from support.models import stir
from support.runs import make_visinger
from tests.test_train_voice import SVC, VOICE
from train.launch import train
from train.tasks.svc_flow import SvcFlowSettings, TrainSvcFlow
from train.voice_crops import told_of

NARROW = {"width": 16, "hidden": 16, "encoder_blocks": 1, "blocks": 1, "dropout": 0.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    make_dataset(folder, {"train": 4, "valid": 2}, duration_s=0.6, groups=VOICE)
    return folder


def made_run(folder, bend=0.3, **changes):
    """A run of this size whose flow is bent: its velocity depends on where and when it is asked."""
    torch.manual_seed(0)
    config = SvcFlowConfig(**{"space": new_space("codec_latent"), "content": (CONTENT,), **NARROW, **changes})
    model = SvcFlow(config)
    stir(model, bend)
    save_model(folder, "svc_flow", config.dump(), model.state_dict())
    return folder


def index(data):
    return DatasetIndex.load(data)


def test_fine_tuning_moves_every_part_from_the_first_step_and_takes_other_singers(data, tmp_path):
    old = made_run(tmp_path / "old", bend=0.05)
    settings = [word for word in SVC if not word.startswith("task.model")]
    train("svc_flow", data, tmp_path / "new", None, [*settings, f"task.begin_with={old}", "steps=1"], False)
    before, after = load_model(old, "svc_flow"), load_model(tmp_path / "new", "svc_flow")
    assert {**after.config, "dropout": 0.1} == {**before.config, "dropout": 0.1}, "its numbers need not be said again"
    still = [name for name, tensor in before.state.items() if tensor.equal(after.state[name])]
    assert not still
    assert max(float((tensor - after.state[name]).abs().max()) for name, tensor in before.state.items()) < 0.01
    assert [singer["name"] for singer in after.extra["singers"]] == ["train-singer0"]


def test_the_flow_of_a_score_model_is_begun_with_and_hears_through_an_entry_of_its_own(data, tmp_path):
    make_visinger(tmp_path / "visinger")
    settings = [word for word in SVC if not word.startswith("task.model")]
    begin = f"task.flow_from={tmp_path / 'visinger'}"
    train("svc_flow", data, tmp_path / "new", None, [*settings, begin, "steps=1", "lr=1e-9"], False)
    before, after = load_model(tmp_path / "visinger", "visinger").state, load_model(tmp_path / "new", "svc_flow")
    for name, tensor in after.state.items():
        if not name.startswith("enter."):
            torch.testing.assert_close(tensor, before[f"flow.{name}"])
    assert after.config["content"] == [CONTENT.dump()]
    for other, says in (
        ({"model": {"width": 8}}, r"leave task\.model\.width out"),
        ({"begin_with": "x"}, r"leave task\.begin_with and task\.teacher out"),
        ({"flow": FlowConfig(objective="cfm")}, r"give --set task\.flow\.objective=rectified"),
        ({"space": "log_mel"}, "makes frames of codec_latent"),
    ):
        with pytest.raises(InputError, match=says):
            TrainSvcFlow(SvcFlowSettings(flow_from=str(tmp_path / "visinger"), **other), index(data))


@pytest.mark.parametrize(
    ("run", "settings", "says"),
    [
        ({}, {"space": "log_mel"}, "makes frames of codec_latent .* asks for log_mel"),
        ({"content": (CONTENT.model_copy(update={"layer": 3}),)}, {}, "hears whisper-tiny.en layer 3 .* of .* layer 2"),
        ({"content": (CONTENT.model_copy(update={"digest": "9" * 64}),)}, {}, "same encoders and weights"),
        ({}, {"model": {"width": 32}}, "its width is 16, task.model.width asks for 32"),
        ({"flow": FlowConfig(objective="cfm")}, {}, "give --set task.flow.objective=cfm"),
        ({}, {"flow": FlowConfig(steps=2)}, "name the trained run as task.teacher"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(data, tmp_path, run, settings, says):
    old = made_run(tmp_path / "old", **run)
    with pytest.raises(InputError, match=says):
        TrainSvcFlow(SvcFlowSettings(begin_with=str(old), **settings), index(data))


@pytest.mark.parametrize(
    ("run", "settings", "says"),
    [
        ({"flow": FlowConfig(steps=1)}, {}, "itself distilled to 1"),
        ({"flow": FlowConfig(around_prior=True)}, {}, "task.flow.around_prior=true"),
        ({"flow": FlowConfig(objective="vp")}, {}, "task.flow.around_prior=true"),
        ({}, {"flow": FlowConfig(objective="vp")}, "ways are straight"),
        ({}, {"begin_with": "x"}, "give one of them"),
    ],
)
def test_a_teacher_that_cannot_teach_this_is_refused(data, tmp_path, run, settings, says):
    old = made_run(tmp_path / "old", **run)
    with pytest.raises(InputError, match=says):
        TrainSvcFlow(SvcFlowSettings(teacher=str(old), **settings), index(data))
    with pytest.raises(InputError, match="vp cannot be distilled"):
        FlowConfig.build({"objective": "vp", "steps": 1})


def taught(data, teacher, steps, updates, **flow):
    """(task after so many updates, a batch of it)."""
    torch.manual_seed(0)
    settings = {"crop_frames": 32, "drop_singer": 0.0, "drop_content": 0.0, "flow": FlowConfig(steps=steps, **flow)}
    task = TrainSvcFlow(SvcFlowSettings(teacher=str(teacher), **settings), index(data))
    task.modules.train()
    frames = 32
    batch = {
        "audio": torch.zeros(8, frames * 256), "f0": torch.full((8, frames), 200.0), "singer": torch.randn(8, 256) / 16,
        "loudness": torch.full((8, frames), -20.0), "content": torch.randn(8, CONTENT.width, frames),
    }  # fmt: skip
    optimiser = torch.optim.Adam(task.model.flow.parameters(), 0.01)
    for update in range(updates):
        for group in optimiser.param_groups:
            group["lr"] = 0.01 * (1 - update / updates)
        optimiser.zero_grad()
        task.loss(batch, update, {})[0].backward()
        optimiser.step()
    return task, batch


def ends(model, task, batch, steps):
    """Frames from one and the same noise."""
    told = told_of(batch)
    h_BWT = model.tell(told)
    mu_BDT = model.prior(h_BWT, told.singer_BE)
    return sample(model.objective, model.estimator(h_BWT, mu_BDT, told.singer_BE), mu_BDT, 99, steps=steps)


@pytest.mark.parametrize(("steps", "flow", "nearer"), [(1, {}, 5), (2, {"around_prior": True}, 2.5)])
def test_a_distilled_student_makes_in_its_steps_what_its_teacher_makes_in_many(data, tmp_path, steps, flow, nearer):
    teacher = made_run(tmp_path / "teacher", flow=FlowConfig(**flow))
    task, batch = taught(data, teacher, steps, 150, **flow)
    task.modules.eval()
    master = task.teacher.model
    many_BDT = ends(master, task, batch, 64)
    few = float((ends(master, task, batch, steps) - many_BDT).square().mean())
    own = float((ends(task.model, task, batch, steps) - many_BDT).square().mean())
    assert few > 0.02 * float(many_BDT.var()), "the teacher itself is not that straight"
    assert own < few / nearer
    told = told_of(batch)
    assert task.model.sing(told, Sampling()).equal(task.model.sing(told, Sampling(steps=steps))), "its own, unasked"
    for asked in (Sampling(steps=3), Sampling(method="heun")):
        with pytest.raises(InputError, match=f"distilled to {steps} of euler"):
            task.model.sing(told, asked)


def test_reflow_straightens_a_bent_flow_and_leaves_encoder_and_prior_alone(data, tmp_path):
    teacher = made_run(tmp_path / "teacher")
    task, batch = taught(data, teacher, None, 150)
    task.modules.eval()
    master = task.teacher.model

    def bend(model):
        return float((ends(model, task, batch, 1) - ends(model, task, batch, 64)).square().mean())

    assert bend(task.model) < bend(master) / 3
    for name, tensor in master.state_dict().items():
        assert tensor.equal(task.model.state_dict()[name]) != name.startswith("flow."), name


def test_the_flow_of_a_straight_coupling_is_its_own_reflow(data, tmp_path):
    """Where frames follow from noise along straight ways, a second flow has nothing to learn, and one step is exact."""
    teacher = made_run(tmp_path / "teacher")
    task, batch = taught(data, teacher, None, 0)
    for model in (task.teacher.model, task.model):
        with torch.no_grad():
            for name, parameter in model.flow.named_parameters():
                if not name.startswith("out.bias"):
                    parameter.zero_()  # a velocity that is the same everywhere and always
    task.modules.eval()
    assert task.loss(batch, 1, {})[0].item() < 1e-10
    torch.testing.assert_close(ends(task.model, task, batch, 1), ends(task.teacher.model, task, batch, 50))


def test_a_student_run_resumes_as_if_never_stopped_and_sings_in_its_one_step(data, tmp_path):
    teacher = made_run(tmp_path / "teacher")
    settings = [word for word in SVC if not word.startswith("task.model")]
    settings += [f"task.teacher={teacher}", "task.flow.steps=1", "task.teaching.steps=2", "save_every=1"]
    train("svc_flow", data, tmp_path / "whole", None, [*settings, "steps=2"], False)
    train("svc_flow", data, tmp_path / "cut", None, [*settings, "steps=1"], False)
    train("svc_flow", data, tmp_path / "cut", None, [*settings, "steps=2"], True)
    whole, cut = (load_model(tmp_path / name, "svc_flow").state for name in ("whole", "cut"))
    assert all(tensor.equal(cut[name]) for name, tensor in whole.items())
    assert load_svc_flow(tmp_path / "whole").model.config.flow.steps == 1
