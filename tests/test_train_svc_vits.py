"""Training of svc_vits: batches and noise, phases, resuming, tuning, and a run that becomes a voice."""

import copy

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from autosing.checkpoint import load_model
from autosing.config import load_config
from autosing.errors import InputError
from autosing.models.singers import singers_of_run
from autosing.models.svc_vits import load_svc_vits
from autosing.models.told import Sampling
from autosing.schemas.records import Part
from autosing.schemas.sample import DatasetIndex
from autosing.storage.shards import read_shard
from support.datasets import make_dataset
from tests.test_configs import CONFIGS
from tests.test_svc_vits import told
from tests.test_train_voice import VOICE
from train.config import TrainConfig
from train.launch import train
from train.loop import mean_counts
from train.record import read_metrics
from train.tasks.svc_vits import SvcVitsSettings, TrainSvcVits

TINY = {
    "model": {
        "latent": 8, "sample_rate_hz": 24000, "hop_samples": 256, "generator": "source_filter",
        "encoder": {"width": 16, "layers": 1, "hidden": 16, "reach": 8, "dropout": 0.0},
        "flow": {"couplings": 2, "layers": 1, "width": 8},
        "source_filter": {"width": 16, "hidden": 16, "blocks": 1, "filter_bands": 16},
    },
    "posterior": {"width": 16, "layers": 1, "window_samples": 512},
    "discriminators": {
        "periods": [2], "period_widths": [4, 4], "resolutions": [[512, 120, 240]], "resolution_width": 4, "scales": 0,
    },
    "crop": {"frames": 24}, "segment_frames": 16, "judged_frames": 16, "adversarial_from": 1, "prior_share": 0.5,
}  # fmt: skip


def words(values: object, prefix: str = "task") -> list[str]:
    if not isinstance(values, dict):
        return [f"{prefix}={values}"]
    return [word for key, value in values.items() for word in words(value, f"{prefix}.{key}")]


VITS = [*words(TINY), "batch_size=2", "lr=0.001", "schedule=const", "log_every=1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    make_dataset(folder, {"train": 8, "valid": 4}, duration_s=0.6, groups=VOICE)
    return folder


def made_task(data, **changes: object) -> TrainSvcVits:
    torch.manual_seed(0)
    task = TrainSvcVits(SvcVitsSettings.build({**TINY, **changes}), DatasetIndex.load(data))
    task.survey(data)
    return task


def items_of(task, data, count: int, split: str = "train") -> list[dict[str, object]]:
    index = DatasetIndex.load(data)
    samples = [sample for shard in index.splits[split].shards for _, sample in read_shard(data / shard.path)]
    return [task.prepare(sample, np.random.default_rng(k)) for k, sample in enumerate(samples[:count])]


def gradients(task, batches) -> dict[str, torch.Tensor]:
    """Of both phases, summed over the batches as the loop does; the discriminators do not step between."""
    counts = task.counts(batches[0])
    mean = {name: sum(task.counts(batch)[name] for batch in batches) / len(batches) for name in counts}
    for batch in batches:
        shown = task.losses(batch, 10, mean)
        for phase in task.phases:
            _, loss, _ = next(shown)
            trained = [p for p in task.modules[phase].parameters() if p.requires_grad]
            (loss / len(batches)).backward(inputs=trained, retain_graph=True)
    return {name: p.grad for name, p in task.modules.named_parameters() if p.grad is not None}


def test_accumulated_batches_have_the_gradients_of_the_large_one(data):
    task = made_task(data)
    items = items_of(task, data, 4)
    items[1]["inside"][18:] = False  # an uneven number of frames in the two halves
    task.modules.train()
    other = copy.deepcopy(task.modules)
    whole = gradients(task, [task.collate(items)])
    rebuilt = made_task(data)
    rebuilt.modules.load_state_dict(other.state_dict())
    rebuilt.modules.train()
    halves = gradients(rebuilt, [rebuilt.collate(items[:2]), rebuilt.collate(items[2:])])
    assert whole.keys() == halves.keys() and any(name.startswith("discriminator") for name in whole)
    for name, gradient in whole.items():
        torch.testing.assert_close(halves[name], gradient, atol=2e-5, rtol=2e-3, msg=name)
    assert callable(mean_counts)


def test_noise_is_of_training_alone_and_of_the_clip_alone(data):
    task = made_task(data, prior_share=0.0)
    items = items_of(task, data, 3)
    task.modules.train()

    def parts(batch):
        shown = task.losses(batch, 10, task.counts(batch))
        return [(loss.detach(), metrics) for _, loss, metrics in shown][-1]

    whole, again = parts(task.collate(items)), parts(task.collate(items))
    assert torch.equal(whole[0], again[0])
    calm = made_task(data, prior_share=0.0, content_noise=0.0, pitch_noise_cents=0.0, latent_noise=0.0)
    calm.modules.load_state_dict(task.modules.state_dict())
    for one in (task, calm):
        one.modules.eval()
    batch = task.collate(items)
    told_still = [[loss for _, loss, _ in one.losses(batch, 10, one.counts(batch))][-1] for one in (task, calm)]
    assert torch.equal(*told_still), "in use nothing is disturbed"
    calm.modules.train()
    disturbed = [loss for _, loss, _ in calm.losses(batch, 10, calm.counts(batch))][-1]
    assert not torch.equal(disturbed, whole[0])


def test_a_run_resumes_as_if_never_stopped_becomes_a_voice_and_is_measured(data, tmp_path):
    def run(name: str, steps: int, *more: str, resume: bool = False) -> dict[str, torch.Tensor]:
        settings = [*VITS, f"steps={steps}", "save_every=2", "valid_every=2", *more]
        train("svc_vits", data, tmp_path / name, None, [*settings, "ema_decay=0.9"], resume)
        return load_model(tmp_path / name, "svc_vits").state

    whole = run("whole", 4, "listen_every=4")
    run("cut", 2, "listen_every=100")
    resumed = run("cut", 4, "listen_every=100", resume=True)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    names = {name for row in read_metrics(tmp_path / "whole") for name in row}
    assert {"generator/adversarial", "generator/matching", "generator/divergence", "discriminator/loss"} <= names
    assert {"heard/sung_f0_cents", "heard/sung_mel_db", "heard/sung_mel_db/valid1"} <= names
    assert len(list((tmp_path / "whole" / "samples").glob("exchanged-*.wav"))) == 1
    voice = load_svc_vits(tmp_path / "whole")
    one = told(7)
    audio_BS = voice.sound(voice.sing(one, Sampling()), one.f0_hz_BF)
    assert audio_BS.shape == (1, 7 * 256) and audio_BS.isfinite().all()
    tuned = run("tuned", 1, "listen_every=100", f"task.begin_with={tmp_path / 'whole'}")
    learnt = [n for n, p in voice.model.named_parameters() if n.endswith("weight") and not n.startswith("pitch")]
    assert all(not torch.equal(tuned[name], whole[name]) for name in learnt), "every part, from the first step"
    assert all((tuned[name] - whole[name]).abs().max() < 0.05 for name in learnt), "and from where the run stood"
    with pytest.raises(InputError, match=r"its encoder\.layers is \d+, task\.model\.encoder\.layers asks for 2"):
        run("other", 1, f"task.begin_with={tmp_path / 'whole'}", "task.model.encoder.layers=2")
    for path in (tmp_path / "whole" / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no checkpoint"):
        run("gone", 1, f"task.begin_with={tmp_path / 'whole'}")


def test_the_discriminators_loss_reaches_no_generator(data):
    task = made_task(data)
    batch = task.collate(items_of(task, data, 2))
    phase, loss, _ = next(task.losses(batch, 1, task.counts(batch)))
    loss.backward()
    assert phase == "discriminator"
    assert all(parameter.grad is None for parameter in task.modules["generator"].parameters())
    assert any(parameter.grad is not None for parameter in task.discriminators.parameters())


def test_discriminators_are_shown_loud_and_quiet_crops_alike(data):
    task = made_task(data)
    made_BS, true_BS = torch.randn(2, 2, 16 * 256).unbind()
    first_B = torch.zeros(2, dtype=torch.long)
    loud, quiet = (task._shown(gain * made_BS, gain * true_BS, first_B) for gain in (1.0, 0.1))
    for a, b in zip(loud, quiet, strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(loud[1].square().mean(1), torch.ones(2))
    assert task._shown(made_BS, 0 * true_BS, first_B)[1].abs().max() == 0


def test_only_a_share_of_the_crops_is_decoded_and_all_in_validation(data):
    task = made_task(data, sound_share=0.5)
    batch, decoded = task.collate(items_of(task, data, 4)), []
    task.model.generator.register_forward_hook(lambda module, given, made_BS: decoded.append(len(made_BS)))
    for training in (True, False):
        task.modules.train(training)
        list(task.losses(batch, 10, task.counts(batch)))
    assert decoded == [2, 4]


def test_an_exchanged_voice_is_heard_and_teaches_prior_flow_and_generator(data):
    task = made_task(data, exchange={"weight": 1.0, "share": 0.5, "frames": 32}, crop={"frames": 48}, singer_weight=0.0)
    batch = task.collate(items_of(task, data, 4))
    *_, (_, _, parts) = task.losses(batch, 10, task.counts(batch))
    assert 0 <= parts["voice"] <= 2
    parts["voice"].backward()
    for part in (task.model.prior, task.model.flow, task.model.generator, task.model.norm):
        assert any(p.grad is not None and p.grad.any() for p in part.parameters())
    assert all(p.grad is None for p in task.posterior.parameters())
    *_, (_, _, alone) = task.losses(task.collate(items_of(task, data, 1)), 10, {"frames": torch.tensor(48)})
    assert "voice" not in alone, "nobody to exchange with"


def test_who_sings_is_told_from_the_singers_centre_and_tuning_keeps_it(data, tmp_path):
    settings = [*VITS, "task.model.centred=true", "steps=1", "save_every=1"]
    train("svc_vits", data, tmp_path / "run", None, settings, False)
    centre_E = load_model(tmp_path / "run", "svc_vits").state["who.centre_E"]
    means = [singer.vector_E for singer in singers_of_run(tmp_path / "run")]
    torch.testing.assert_close(centre_E, torch.from_numpy(np.mean(means, axis=0)).float())
    tuned = made_task(data, begin_with=str(tmp_path / "run"))
    assert torch.equal(tuned.model.who.centre_E, centre_E)


def test_silence_after_a_clip_is_no_part_of_the_divergence(data):
    task = made_task(data, content_noise=0.0, pitch_noise_cents=0.0)
    (item,) = items_of(task, data, 1)
    item["inside"][18:] = False
    loud = {**item, "content": item["content"].copy()}
    loud["content"][:, 18:] += 5
    found = []
    for one in (item, loud):
        batch = task.collate([one])
        found.append([parts for *_, parts in task.losses(batch, 1, task.counts(batch))][-1]["divergence"])
    torch.testing.assert_close(*found)


def small_settings() -> SvcVitsSettings:
    config = load_config(TrainConfig, CONFIGS / "train" / "svc_vits_small.yaml")
    return SvcVitsSettings.build({**config.task, "heard_weight": 0.0})


class OneEncoder:
    """An index of a dataset whose content is Whisper base's."""

    def __init__(self, width: int = 512) -> None:
        part = Part(name="whisper-base", layer=5, width=width, digest="0" * 64)
        self.features = {"content": type("Feature", (), {"parts": (part,)})}


def test_the_small_preset_begins_as_the_codec():
    """What it makes of a sound's own latent is what the codec makes of it, before any step."""
    from autosing.models.acoustic import load_space, new_space

    task = TrainSvcVits(small_settings(), OneEncoder())
    space = load_space(new_space("codec_latent"))
    f0_hz_BF = torch.full((1, 24), 220.0)
    torch.manual_seed(0)
    audio_BS = 0.1 * torch.randn(1, 24 * 256)
    with torch.no_grad():
        mean_BDF, _ = task.posterior(audio_BS, f0_hz_BF, torch.zeros(1, 256))
        made_BS = task.model.sound(task.model.steer(mean_BDF, torch.zeros(1, 256)), f0_hz_BF)
        wanted_BS = space.sound(space.frames(audio_BS, f0_hz_BF), f0_hz_BF)
    assert (made_BS - wanted_BS).square().mean() < 0.01 * wanted_BS.square().mean(), "but for steps of 12 cents"
    with pytest.raises(InputError, match="brings 24000"):
        TrainSvcVits(SvcVitsSettings(model={"sample_rate_hz": 32000}, begin_with_codec="autosing-24khz"), OneEncoder())


def test_a_step_of_the_small_preset_is_cheaper_than_the_seeds():
    """so-vits-svc 5.0: 511 GMAC for four clips of 4 s."""
    settings = small_settings()
    clips, seconds, frames = 4, 4, 375
    task = TrainSvcVits(
        settings.model_copy(update={"crop": settings.crop.model_copy(update={"frames": frames})}), OneEncoder()
    )
    task.modules.train()
    samples = frames * 256
    assert samples == seconds * 24000
    batch = {
        "audio": 0.1 * torch.randn(clips, samples), "f0": torch.full((clips, frames), 220.0),
        "content": torch.randn(clips, 512, frames), "loudness": torch.full((clips, frames), -20.0),
        "singer": torch.randn(clips, 256), "inside": torch.ones(clips, frames, dtype=torch.bool),
        "seed": torch.arange(clips), "from_prior": torch.zeros(clips),
        "first": torch.zeros(clips, dtype=torch.long), "shown": torch.zeros(clips, dtype=torch.long),
        "song": torch.zeros(clips, 64, dtype=torch.uint8),
    }  # fmt: skip
    with FlopCounterMode(display=False) as counter:
        shown = task.losses(batch, 10_000, task.counts(batch))
        for phase in task.phases:
            _, loss, _ = next(shown)
            trained = [p for p in task.modules[phase].parameters() if p.requires_grad]
            loss.backward(inputs=trained, retain_graph=phase != task.phases[-1])
    assert counter.get_total_flops() / 2 < 511e9 / 1.5
