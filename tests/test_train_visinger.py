"""Training from scores: a run resumes, parts of a batch add up to it, it may be begun with, and what it refuses."""

import numpy as np
import pytest
import torch

from autosing.checkpoint import describe_model, load_model, save_model
from autosing.errors import InputError
from autosing.models.acoustic import new_space
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.visinger import VisingerConfig, load_visinger
from autosing.schemas.records import Part
from autosing.schemas.sample import DatasetIndex
from autosing.storage.shards import read_shard
from support.datasets import make_dataset
from support.scores import star_score
from train.data import SampleStream
from train.launch import train
from train.losses.flow import FlowLossSettings
from train.order import Lane
from train.record import read_metrics
from train.tasks.visinger import TrainVisinger, VisingerSettings

MEMBERS = ("meta", "audio", "pitch", "loudness", "score", "singer")
MODEL = {"content": 16, "sign_blocks": 1, "frame_blocks": 1, "curves": {"width": 16, "blocks": 1, "small_width": 8}}
FLOW = {"width": 16, "hidden": 16, "encoder_blocks": 1, "blocks": 1}
SILENT = FlowLossSettings(sound_weight=0.0)
SIZES = [
    "task.crop_frames=32", "task.losses.heard_weight=0", "batch_size=2", "lr=0.003", "schedule=const", "log_every=1",
]  # fmt: skip
SMALL = [
    *SIZES, "task.model={content: 16, sign_blocks: 1, frame_blocks: 1, curves: {width: 16, blocks: 1, small_width: 8}}",
    "task.flow_model={width: 16, hidden: 16, encoder_blocks: 1, blocks: 1}",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    make_dataset(folder, {"train": 4, "valid": 2}, duration_s=1.2, groups=MEMBERS)
    return folder


def run(data, folder, steps: int, *more: str, small=SMALL, resume: bool = False) -> dict[str, torch.Tensor]:
    train("visinger", data, folder, None, [*small, f"steps={steps}", "save_every=2", *more], resume)
    return load_model(folder, "visinger").state


def test_a_run_resumes_as_if_never_stopped_and_sings_a_score(data, tmp_path):
    whole = run(data, tmp_path / "whole", 4, "ema_decay=0.5")
    run(data, tmp_path / "cut", 2, "ema_decay=0.5")
    resumed = run(data, tmp_path / "cut", 4, "ema_decay=0.5", resume=True)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    rows = [row for row in read_metrics(tmp_path / "whole") if "loss" in row]
    names = {"prior", "flow", "structure", "sound", "pitch", "voicing", "loudness", "vibrato", "length", "ctc"}
    assert len(rows) == 4 and names <= set(rows[0]) and all(np.isfinite([row[n] for n in names]).all() for row in rows)
    voice = load_visinger(tmp_path / "whole")
    timed, content_CF, melody = voice.read(star_score(), torch.nn.functional.normalize(torch.randn(256), dim=0))
    assert timed.timed and content_CF.shape == (16, 375)
    assert melody.f0_hz_BF.shape == (1, 375) and melody.f0_hz_BF.isfinite().all()
    assert (12 * (melody.f0_hz_BF[0, 60] / 261.63).log2()).abs() < 2, "near its note, a C4"


def test_bf16_trains_too(data, tmp_path):
    run(data, tmp_path / "run", 2, "precision=bf16")
    assert all(np.isfinite(row["loss"]) for row in read_metrics(tmp_path / "run") if "loss" in row)


def test_a_run_begins_with_another_and_trains_every_part_of_it(data, tmp_path):
    first = run(data, tmp_path / "first", 2)
    tuned = run(data, tmp_path / "tuned", 1, f"task.begin_with={tmp_path / 'first'}", "lr=0.01", small=SIZES)
    still = [name for name in first if torch.equal(first[name], tuned[name])]
    assert all(torch.allclose(first[name], tuned[name], atol=0.05) for name in first)
    # The notes of these clips are too short for a vibrato to be measured.
    assert not [name for name in still if name.endswith("weight") and not name.startswith("vibrato")], still
    again = run(data, tmp_path / "again", 1, f"task.begin_with={tmp_path / 'first'}", "lr=1e-9")
    assert all(torch.allclose(again[name], first[name]) for name in first), "numbers may be said again"
    for other, says in (
        ("task.model.content=32", r"its content is \d+, task\.model\.content asks for 32; leave it out"),
        ("task.flow_model.width=48", r"task\.flow_model\.width asks for 48"),
        ("task.flow.objective=cfm", r"give --set task\.flow\.objective=rectified"),
        ("task.space=log_mel", "makes frames of codec_latent .* asks for log_mel"),
        ("task.flow_from=x", r"task\.flow_from x: .* leave task\.flow_model\.blocks out"),
    ):
        with pytest.raises(InputError, match=says):
            run(data, tmp_path / "other", 1, f"task.begin_with={tmp_path / 'first'}", other)


def test_the_flow_may_be_begun_with_that_of_a_conversion_run(data, tmp_path):
    part = Part(name="whisper-own", layer=2, width=24, digest="")
    config = SvcFlowConfig(
        space=new_space("codec_latent"), content=(part,), width=16, hidden=16, encoder_blocks=1, blocks=1
    )
    known = SvcFlow(config)
    save_model(tmp_path / "svc", "svc_flow", config.dump(), known.state_dict())
    begin = [word for word in SMALL if "flow_model" not in word] + [
        f"task.flow_from={tmp_path / 'svc'}",
        "task.flow_model={dropout: 0.0}",
    ]
    state = run(data, tmp_path / "run", 1, "lr=1e-9", small=begin)
    for name, tensor in known.state_dict().items():
        if not name.startswith("enter."):
            torch.testing.assert_close(state[f"flow.{name}"], tensor)
    with pytest.raises(InputError, match=r"leave task\.flow_model\.blocks out"):
        run(data, tmp_path / "other", 1, f"task.flow_from={tmp_path / 'svc'}")


def test_the_score_of_one_run_may_meet_the_flow_of_another(data, tmp_path):
    first = run(data, tmp_path / "first", 1)
    flow = VisingerConfig.build(describe_model(tmp_path / "first").config).flow
    part = Part(name="whisper-own", layer=2, width=24, digest="")
    known = SvcFlow(flow.model_copy(update={"content": (part,)}))
    wider = flow.model_copy(update={"content": (part,), "width": 2 * flow.width})
    save_model(tmp_path / "svc", "svc_flow", known.config.dump(), known.state_dict())
    save_model(tmp_path / "wider", "svc_flow", wider.dump(), SvcFlow(wider).state_dict())
    begin, small = [f"task.begin_with={tmp_path / 'first'}", "lr=1e-9"], SIZES
    both = run(data, tmp_path / "both", 1, *begin, f"task.flow_from={tmp_path / 'svc'}", small=small)
    for name, tensor in both.items():
        own = name.removeprefix("flow.")
        begun = known.state_dict()[own] if own != name and not own.startswith("enter.") else first[name]
        torch.testing.assert_close(tensor, begun, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match=r"its flow has width .* give runs of the same sizes"):
        run(data, tmp_path / "other", 1, *begin, f"task.flow_from={tmp_path / 'wider'}", small=small)


def test_the_losses_of_two_halves_average_to_that_of_the_whole(data):
    """What is a mean over voiced frames, consonants or long notes is divided by the whole update's count."""
    settings = VisingerSettings(crop_frames=64, model=MODEL, flow_model=FLOW, losses=SILENT)
    torch.manual_seed(0)
    index = DatasetIndex.load(data)
    task = TrainVisinger(settings, index)
    stream = SampleStream(data, index.splits["train"], task, Lane(0, 1, chunk=4), seed=0, shuffle=False, epochs=1)
    batch = next(iter(stream)).batch
    batch["f0_BF"][0, :30] = 0.0
    batch["pitched_BF"][0, :30] = False
    halves = [{name: tensor[k : k + 2] for name, tensor in batch.items()} for k in (0, 2)]
    counted = [task.counts(half) for half in halves]
    means = {name: (counted[0][name] + counted[1][name]) / 2 for name in counted[0]}
    task.modules.eval()
    _, whole = task.loss(batch, 1, task.counts(batch))
    parts = [task.loss(half, 1, means)[1] for half in halves]
    for name in ("pitch", "voicing", "loudness", "vibrato", "length", "prior"):
        torch.testing.assert_close((parts[0][name] + parts[1][name]) / 2, whole[name], msg=name)


def test_a_clip_whose_phones_have_no_times_is_passed_over(data, monkeypatch):
    index = DatasetIndex.load(data)
    task = TrainVisinger(VisingerSettings(crop_frames=32, model=MODEL, flow_model=FLOW, losses=SILENT), index)
    shard = index.splits["train"].shards[0]
    _, sample = next(iter(read_shard(data / shard.path, rows=shard.rows)))
    assert task.prepare(sample, np.random.default_rng(0)) is not None
    monkeypatch.setattr(type(sample), "score", lambda self: star_score())
    assert task.prepare(sample, np.random.default_rng(0)) is None
