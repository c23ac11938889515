"""Training from speech: a run resumes, it may be begun with, its codebook begins, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from autosing.checkpoint import load_model, save_model
from autosing.config import read_yaml
from autosing.errors import InputError
from autosing.models.acoustic import new_space
from autosing.models.sts import load_sts
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.schemas.sample import DatasetIndex
from autosing.score.timing import with_times
from autosing.storage.shards import read_shard
from support.datasets import CONTENT, make_dataset
from support.scores import star_score
from train.launch import train
from train.record import read_metrics
from train.tasks.sts import StsSettings, TrainSts

MEMBERS = ("meta", "audio", "pitch", "loudness", "score", "speech", "singer")
MODEL = (
    "{width: 16, heads: 2, layers: 1, speech_blocks: 1, frame_blocks: 1, rhythm: {codes: 4, width: 4, blocks: 1}, "
    "curves: {width: 16, blocks: 1, small_width: 8}}"
)
SIZES = [
    "task.crop_frames=32", "task.losses.heard_weight=0", "task.rhythm_after=2", "batch_size=2", "lr=0.003",
    "schedule=const", "log_every=1",
]  # fmt: skip
FLOW = "task.flow_model={width: 16, hidden: 16, encoder_blocks: 1, blocks: 1}"
SMALL = [*SIZES, f"task.model={MODEL}", FLOW]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    make_dataset(folder, {"train": 4, "valid": 2}, duration_s=1.2, groups=MEMBERS)
    return folder


def run(data, folder, steps: int, *more: str, small=SMALL, resume: bool = False) -> dict[str, torch.Tensor]:
    train("sts", data, folder, None, [*small, f"steps={steps}", "save_every=2", *more], resume)
    return load_model(folder, "sts").state


def test_a_run_resumes_as_if_never_stopped_and_reads_speech(data, tmp_path):
    whole = run(data, tmp_path / "whole", 4, "ema_decay=0.5")
    run(data, tmp_path / "cut", 2, "ema_decay=0.5")
    resumed = run(data, tmp_path / "cut", 4, "ema_decay=0.5", resume=True)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    assert whole["aligner.rhythm.quantizer.started"], "the codebook began"
    rows = [row for row in read_metrics(tmp_path / "whole") if "loss" in row]
    names = {"prior", "flow", "sound", "pitch", "voicing", "loudness", "ctc", "rhythm", "commitment", "guide", "singer"}
    assert len(rows) == 4 and names <= set(rows[0]) and all(np.isfinite([row[n] for n in names]).all() for row in rows)
    voice = load_sts(tmp_path / "whole")
    speech = np.random.default_rng(0).standard_normal((60, CONTENT.width)).astype(np.float16)
    knots = np.array([[0.4, 3.5], [0.1, 1.1]], np.float32)
    singer = torch.nn.functional.normalize(torch.randn(256), dim=0)
    content, melody = voice.read(with_times(star_score()), speech, knots, singer)
    assert content.shape == (CONTENT.width, 375) and melody.f0_hz_BF.isfinite().all()
    assert voice.content == (CONTENT,)


def test_a_run_begins_with_another_and_trains_every_part_of_it(data, tmp_path):
    first = run(data, tmp_path / "first", 3)
    tuned = run(data, tmp_path / "tuned", 1, f"task.begin_with={tmp_path / 'first'}", "lr=0.01", small=SIZES)
    still = [name for name in first if name.endswith("weight") and torch.equal(first[name], tuned[name])]
    # The notes of these clips are too short for a vibrato to be measured.
    assert not [name for name in still if not name.startswith("vibrato")], still
    same = run(data, tmp_path / "same", 1, f"task.begin_with={tmp_path / 'first'}")
    assert same.keys() == first.keys(), "its own numbers may be said"
    for other, said in (
        ("task.model.width=24", "its width is 16, task.model.width asks for 24; leave it out"),
        ("task.flow_model.blocks=2", "its blocks is 1, task.flow_model.blocks asks for 2; leave it out"),
        ("task.flow.objective=cfm", "learned another flow"),
        (f"task.flow_from={tmp_path / 'first'}", "found a sts model, need svc_flow"),
    ):
        with pytest.raises(InputError, match=said):
            run(data, tmp_path / "other", 1, f"task.begin_with={tmp_path / 'first'}", other, small=SIZES)


def test_the_recipe_of_the_repository_trains_a_run_on_and_its_dropout_counts(data, tmp_path):
    run(data, tmp_path / "first", 1, "task.flow_model.dropout=0.3")
    recipe = read_yaml(Path(__file__).parents[1] / "configs" / "train" / "sts.yaml")["task"]
    recipe["losses"]["heard_weight"] = 0
    given = {**recipe, "begin_with": str(tmp_path / "first")}
    index = DatasetIndex.load(data)
    task = TrainSts(StsSettings.build(given), index)
    assert task.model_config.flow.dropout == 0.1 and task.model_config.flow.width == 16
    deeper = index.features["speech"].model_copy(update={"parts": (CONTENT.model_copy(update={"layer": 1}),)})
    other = index.model_copy(update={"features": {**index.features, "speech": deeper}})
    with pytest.raises(InputError, match="build the dataset with the same encoders"):
        TrainSts(StsSettings.build(given), other)


@pytest.mark.parametrize(("kind", "same"), [("svc_flow", True), ("svc_flow", False), ("visinger", False)])
def test_the_flow_may_be_begun_with_that_of_a_trained_run(data, tmp_path, kind, same):
    """What takes its content in comes with it where it is of the same encoders."""
    part = CONTENT if same else CONTENT.model_copy(update={"layer": 1})
    config = SvcFlowConfig(
        space=new_space("codec_latent"), content=(part,), width=16, hidden=16, encoder_blocks=1, blocks=1
    )
    known = SvcFlow(config)
    state = known.state_dict()
    if kind == "visinger":
        held = {f"flow.{name}": x for name, x in state.items()} | {"score.other": torch.zeros(3)}
        save_model(tmp_path / "svc", "visinger", {"flow": config.dump()}, held)
    else:
        save_model(tmp_path / "svc", "svc_flow", config.dump(), state)
    begin = [word for word in SMALL if word != FLOW] + [
        f"task.flow_from={tmp_path / 'svc'}",
        "task.flow_model={dropout: 0.0}",
    ]
    state = run(data, tmp_path / "run", 1, "lr=1e-9", small=begin)
    alike = {name: torch.allclose(state[f"flow.{name}"], tensor) for name, tensor in known.state_dict().items()}
    entered = [alike[name] for name in alike if name.startswith("enter.") and name.endswith("weight")]
    assert all(equal for name, equal in alike.items() if not name.startswith("enter."))
    assert entered == [same]
    with pytest.raises(InputError, match=r"leave task\.flow_model\.blocks out"):
        run(data, tmp_path / "other", 1, f"task.flow_from={tmp_path / 'svc'}")


def test_singing_that_stands_for_speech_is_shortened_anew_each_time(data):
    index = DatasetIndex.load(data)
    settings = StsSettings.build({"crop_frames": 32, "losses": {"sound_weight": 0.0}})
    task = TrainSts(settings, index)
    shard = index.splits["train"].shards[0]
    samples = {id: sample for id, sample in read_shard(data / shard.path, rows=shard.rows)}
    own = next(s for s in samples.values() if np.ptp(np.diff(s.array("speech_knots").reshape(2, -1), axis=0)) == 0)
    one, other, again = (task.prepare(own, np.random.default_rng(seed)) for seed in (0, 1, 0))
    assert np.array_equal(one["centre_F"], again["centre_F"]) and np.array_equal(one["speech_CS"], again["speech_CS"])
    assert not np.array_equal(one["centre_F"], other["centre_F"])
    assert all((np.diff(item["centre_F"]) >= 0).all() for item in (one, other))


def test_a_dataset_without_speech_is_refused(tmp_path):
    index = make_dataset(tmp_path, {"train": 1}, groups=("meta", "audio"))
    with pytest.raises(InputError, match="build it again, with speech"):
        TrainSts(StsSettings(), index)


def test_a_student_learns_the_flow_alone_from_a_runs_own_pairs(data, tmp_path):
    run(data, tmp_path / "teacher", 3)
    teacher, before = f"task.teacher={tmp_path / 'teacher'}", load_model(tmp_path / "teacher").state
    taught = [
        teacher,
        "task.teaching.steps=2",
        "task.flow.steps=1",
        "task.teaching.guidance_singer=1.5",
        "ema_decay=0.5",
    ]
    whole = run(data, tmp_path / "whole", 3, *taught, small=SIZES)
    run(data, tmp_path / "cut", 2, *taught, small=SIZES)
    resumed = run(data, tmp_path / "cut", 3, *taught, small=SIZES, resume=True)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, whole[name])}
    assert moved and all(name.startswith("flow.flow.") for name in moved), moved
    config = load_sts(tmp_path / "whole").model.config.flow
    assert (config.flow.steps, config.usual_guidance_singer) == (1, 1.0), "it needs neither more steps nor guidance"
    straight = run(data, tmp_path / "straight", 1, teacher, "task.teaching.steps=2", small=SIZES)
    assert straight.keys() == before.keys()
    for more, said in (
        ([f"task.begin_with={tmp_path / 'teacher'}"], "a student begins as its teacher; leave task.begin_with"),
        (["task.flow.around_prior=true"], r"its flow begins at noise, so the student's must"),
    ):
        with pytest.raises(InputError, match=said):
            run(data, tmp_path / "refused", 1, teacher, *more, small=SIZES)
    with pytest.raises(InputError, match=r"name the trained run as task\.teacher"):
        run(data, tmp_path / "untaught", 1, "task.flow.steps=2")
    with pytest.raises(InputError, match="was itself distilled to 1 steps"):
        run(data, tmp_path / "again", 1, f"task.teacher={tmp_path / 'whole'}", small=SIZES)
