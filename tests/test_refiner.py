"""Refining a latent: what it learns, what it leaves alone, and a refined run as a voice."""

import numpy as np
import pytest
import torch

from autosing.checkpoint import load_model
from autosing.errors import InputError
from autosing.models.refiner import Refiner, RefinerConfig
from autosing.models.svc_vits import load_svc_vits
from autosing.models.told import Sampling
from inference.export.run import export
from inference.voice.load import check_sampling
from support.datasets import make_dataset
from support.models import stir
from tests.test_svc_vits import made, sung, told
from tests.test_train_svc_vits import VITS
from tests.test_train_voice import VOICE
from train.launch import train
from train.record import read_metrics

NARROW = {"width": 16, "hidden": 16, "blocks": 1}
REFINER = ["task.refiner.width=16", "task.refiner.hidden=16", "task.refiner.blocks=1", "task.crop.frames=24"]
CHEAP = ["batch_size=2", "lr=0.001", "schedule=const", "log_every=1", "save_every=2", "valid_every=2"]


def ends(count: int) -> tuple[torch.Tensor, ...]:
    """(states, prediction, truth, singer): the prediction lies off by what the states say."""
    draw = torch.Generator().manual_seed(0)
    true_BDF, h_BWF = (torch.randn(count, 4, 20, generator=draw) for _ in range(2))
    return h_BWF, true_BDF + h_BWF, true_BDF, torch.zeros(count, 8)


@pytest.mark.parametrize(
    "flow", [{"around_prior": True}, {"objective": "cfm", "around_prior": True}, {"objective": "vp"}]
)
def test_what_the_states_tell_of_the_error_is_taken_away(flow):
    torch.manual_seed(0)
    config = {"width": 32, "hidden": 64, "blocks": 2, "spread": 0.3, "flow": flow}
    refiner = Refiner(RefinerConfig.build(config), latent=4, states=4, singer=8)
    optimiser = torch.optim.Adam(refiner.parameters(), 0.005)
    h_BWF, predicted_BDF, true_BDF, who_BE = ends(32)
    for _ in range(150):
        optimiser.zero_grad()
        refiner.loss(h_BWF, predicted_BDF, true_BDF, who_BE, torch.ones(32, 20, dtype=torch.bool)).backward()
        optimiser.step()
    z_BDF = refiner.eval().refined(h_BWF, predicted_BDF, who_BE, Sampling(steps=40))
    before, after = ((x - true_BDF).square().mean() for x in (predicted_BDF, z_BDF))
    assert after < 0.6 * before


def test_untrained_it_moves_nothing_but_for_its_noise_and_cold_nothing_at_all():
    refiner = Refiner(RefinerConfig.build({**NARROW, "spread": 0.25}), latent=4, states=4, singer=8).eval()
    h_BWF, predicted_BDF, _, who_BE = ends(1)
    cold_BDF = refiner.refined(h_BWF, predicted_BDF, who_BE, Sampling(temperature=0))
    torch.testing.assert_close(cold_BDF, predicted_BDF)
    noise_BDF = refiner.refined(h_BWF, predicted_BDF, who_BE, Sampling()) - predicted_BDF
    assert 0.15 < noise_BDF.std() < 0.35


def test_chunks_are_refined_as_the_whole():
    model = made(generator="source_filter", refiner=NARROW)
    plain = made(generator="source_filter")
    whole_S, chunked_S = sung(model, 5.0, chunk_s=100.0), sung(model, 5.0, chunk_s=2.0)
    away = np.sqrt(np.mean((chunked_S - whole_S) ** 2) / np.mean(whole_S**2))
    assert away < 0.01 and len(chunked_S) == len(whole_S)
    assert not np.allclose(whole_S, sung(plain, 5.0), atol=1e-3)


def test_seeds_and_steps_change_what_is_refined():
    model, one = made(refiner=NARROW), told(12)
    stir(model)
    first = model.sing(one, Sampling())
    assert torch.equal(first, model.sing(one, Sampling(steps=4))), "its own, unasked"
    for other in (Sampling(seed=1), Sampling(steps=2), Sampling(method="heun")):
        assert not torch.allclose(first, model.sing(one, other), atol=1e-4)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    make_dataset(folder, {"train": 8, "valid": 4}, duration_s=0.6, groups=VOICE)
    return folder


@pytest.fixture(scope="module")
def base(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "base"
    train("svc_vits", data, run, None, [*VITS, "steps=2", "save_every=2", "listen_every=100", "ema_decay=0.9"])
    return run


def refine(data, base, run, steps: int, *more: str, resume: bool = False) -> dict[str, torch.Tensor]:
    settings = [*CHEAP, *REFINER, f"task.base={base}", f"steps={steps}", "ema_decay=0.9", *more]
    train("refiner", data, run, None, settings, resume)
    return load_model(run, "svc_vits").state


def test_a_refined_run_resumes_keeps_its_base_and_is_a_voice(data, base, tmp_path):
    whole = refine(data, base, tmp_path / "whole", 4, "listen_every=4")
    refine(data, base, tmp_path / "cut", 2)
    resumed = refine(data, base, tmp_path / "cut", 4, resume=True)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    before = load_model(base, "svc_vits").state
    assert all(torch.equal(tensor, whole[name]) for name, tensor in before.items()), "what is refined stays as it is"
    learnt = {name for name in whole if name.startswith("refiner.")}
    assert learnt == set(whole) - set(before) and any(whole[name].any() for name in learnt if "out.weight" in name)
    names = {name for row in read_metrics(tmp_path / "whole") for name in row}
    assert {"valid/predicted_off", "valid/refined_off"} <= names
    assert len(list((tmp_path / "whole" / "samples").glob("refined-*.wav"))) == 1
    voice, plain, one = load_svc_vits(tmp_path / "whole"), load_svc_vits(base), told(7)
    audio_BS = voice.sound(voice.sing(one, Sampling(steps=2)), one.f0_hz_BF)
    assert audio_BS.shape == (1, 7 * 256) and audio_BS.isfinite().all()
    check_sampling(tmp_path / "whole", voice, Sampling(steps=2, method="heun"))
    with pytest.raises(InputError, match=r"--steps 2: .* sings in one pass"):
        check_sampling(base, plain, Sampling(steps=2))
    with pytest.raises(InputError, match=r"--guidance 2\.0: .* has no such choice; leave it out"):
        check_sampling(tmp_path / "whole", voice, Sampling(guidance=2.0))


def test_what_cannot_be_refined_is_told(data, base, tmp_path):
    with pytest.raises(InputError, match=r"task\.base: not given; need a run of 'autosing train svc_vits'"):
        train("refiner", data, tmp_path / "nothing", None, CHEAP)
    refine(data, base, tmp_path / "once", 1)
    with pytest.raises(InputError, match="has a refiner already; name the run that it refines"):
        refine(data, tmp_path / "once", tmp_path / "twice", 1)
    with pytest.raises(InputError, match="a refiner is trained when the rest is, by 'autosing train refiner'"):
        settings = [*VITS, "steps=1", f"task.begin_with={tmp_path / 'once'}"]
        train("svc_vits", data, tmp_path / "tuned", None, settings)
    with pytest.raises(InputError, match="in several steps, which no graph of ours does; export the run"):
        export(tmp_path / "once", tmp_path / "graphs", "onnx")
    (tmp_path / "bare").mkdir()
    for name in ("model.json", "model.safetensors"):
        (tmp_path / "bare" / name).write_bytes((base / name).read_bytes())
    with pytest.raises(InputError, match=r"no config\.yaml in it; give the folder of 'autosing train svc_vits' itself"):
        refine(data, tmp_path / "bare", tmp_path / "none", 1)
