"""`autosing export`: weights alone sing as the run does, and onnxruntime makes of a graph what torch makes."""

import json
import sys

import onnx
import onnxruntime
import pytest
import torch

from autosing.checkpoint import load_model
from autosing.cli import main
from autosing.errors import InputError
from autosing.models.acoustic import new_space
from autosing.models.sung_score import lengths_item, score_item, stacked
from autosing.models.told import Sampling, Told
from autosing.models.visinger import load_visinger
from autosing.models.vocoder import load_vocoder
from autosing.nn.excitation import excitations
from autosing.nn.real_source_filter import RealSourceFilter
from autosing.nn.solvers import frame_noise
from autosing.nn.source_filter import SourceFilter
from inference.export.onnx_file import OPSET
from inference.export.run import Wanted, export
from inference.voice.load import load_voice
from support import runs
from support.scores import star_score

FRAMES = (2, 31, 64)


def told(frames: int, width: int = 16) -> Told:
    draw = torch.Generator().manual_seed(frames)
    return Told(
        torch.randn(1, width, frames, generator=draw), 150 * 2 ** torch.rand(1, frames, generator=draw),
        torch.rand(1, frames, generator=draw) > 0.3, -30 + 9 * torch.rand(1, frames, generator=draw),
        torch.nn.functional.normalize(torch.randn(1, 256, generator=draw)),
    )  # fmt: skip


def sung(voice, one: Told, sampling: Sampling | None = None) -> torch.Tensor:
    """audio_BS as the commands make it."""
    f0_hz_BF = torch.where(one.voiced_BF, one.f0_hz_BF, 0.0)
    return voice.sound(voice.sing(one, sampling or Sampling(seed=3)), f0_hz_BF)


def run_graph(path, **inputs) -> list:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(inputs)
    return session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})


def inputs_of(one: Told, noise: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "content": one.content_BCF, "f0_hz": one.f0_hz_BF, "voiced": one.voiced_BF, "loudness_db": one.loudness_db_BF,
        "singer": one.singer_BE, "noise": noise,
    }  # fmt: skip


@pytest.mark.parametrize("window", [768, 767, 1024])
def test_a_source_filter_in_real_numbers_makes_the_same_sound(window):
    torch.manual_seed(0)
    head = SourceFilter(16, 12, window, 255 + window % 2, 24_000)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    hop = head.hop
    f0_hz_BF = torch.full((1, 20), 180.0)
    args = (torch.randn(1, 16, 20), torch.randn(1, 24, 20), *excitations(f0_hz_BF, hop, 24_000))
    with torch.no_grad():
        wanted_BS, found_BS = head(*args), RealSourceFilter(head)(*args)
    assert wanted_BS.abs().max() > 1e-3
    torch.testing.assert_close(found_BS, wanted_BS, atol=1e-5 * float(wanted_BS.abs().max()), rtol=1e-5)


def test_exported_weights_sing_as_the_run_without_its_norms(tmp_path):
    run = runs.make_vits(tmp_path / "run")
    rows = export(run, tmp_path / "out")
    names = load_model(tmp_path / "out").state
    assert rows[0]["norms_folded"] > 5 and not [name for name in names if "parametrizations" in name]
    assert len(names) == len(load_model(run).state) - rows[0]["norms_folded"]
    one = told(9)
    difference = (sung(load_voice(tmp_path / "out"), one) - sung(load_voice(run), one)).abs().max()
    assert difference <= 1e-5
    first = (tmp_path / "out" / "model.safetensors").read_bytes()
    export(run, tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == first
    export(tmp_path / "out", tmp_path / "again")
    assert (sung(load_voice(tmp_path / "again"), one) - sung(load_voice(run), one)).abs().max() <= 1e-5


def test_models_without_such_norms_come_out_as_they_are_and_a_vocoder_without(tmp_path):
    for run in (runs.make_flow(tmp_path / "flow"), runs.make_visinger(tmp_path / "visinger")):
        assert export(run, tmp_path / "out" / run.name)[0]["norms_folded"] == 0
        before, after = load_model(run), load_model(tmp_path / "out" / run.name)
        assert all(after.state[name].equal(tensor) for name, tensor in before.state.items())
        assert after.config == before.config and after.extra["singers"] == before.extra["singers"]
    export(runs.make_vocoder(tmp_path / "vocoder"), tmp_path / "out" / "vocoder")
    mel_BMF, f0_hz_BF = torch.randn(1, 20, 9), torch.full((1, 9), 200.0)
    made = [load_vocoder(tmp_path / name)(mel_BMF, f0_hz_BF) for name in ("vocoder", "out/vocoder")]
    torch.testing.assert_close(made[1], made[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "values",
    [
        {"generator": "nsf"},
        {"generator": "source_filter", "prenet": True, "norm": False, "temperature": 0.5},
        {
            "generator": "source_filter", "encoder": {**runs.VITS["encoder"], "positions": "rotary"},
            "flow": {**runs.VITS["flow"], "told_singer": True, "scales": True},
        },
    ],
)  # fmt: skip
def test_the_graph_of_svc_vits_makes_what_torch_makes_at_any_length(tmp_path, values):
    run = runs.make_vits(tmp_path / "run", **values)
    export(run, tmp_path / "out", "onnx")
    voice = load_voice(run)
    for frames in FRAMES:
        one = told(frames)
        noise = frame_noise(3, (1, 8, frames))[0]
        (audio_BS,) = run_graph(tmp_path / "out" / "voice.onnx", **inputs_of(one, noise))
        wanted_BS = sung(voice, one)
        assert audio_BS.shape == (1, frames * 256)
        assert abs(audio_BS - wanted_BS.numpy()).max() <= 1e-4 * max(1.0, float(wanted_BS.abs().max()))


@pytest.mark.parametrize(
    ("values", "mel"),
    [
        ({"centred": True, "usual_guidance_singer": 1.5}, False),
        ({"estimator": "unet", "fold": 1, "prenet": True}, True),
        ({"flow": {"objective": "vp"}}, True),
        ({"flow": {"objective": "cfm", "around_prior": True, "steps": 2}}, False),
    ],
)
def test_the_graph_of_svc_flow_takes_its_steps_as_torch_does(tmp_path, values, mel):
    space = new_space("log_mel", mel=runs.MEL) if mel else None
    vocoder = runs.make_vocoder(tmp_path / "vocoder", "source_filter") if mel else None
    run = runs.make_flow(tmp_path / "run", space, **values)
    export(run, tmp_path / "out", "onnx", Wanted(vocoder, None if "steps" in values.get("flow", {}) else 3))
    voice = load_voice(run, vocoder=vocoder)
    facts = json.loads((tmp_path / "out" / "export.json").read_text())
    fold, steps = facts["fold"], facts["steps"]
    for frames in FRAMES:
        one = told(frames)
        noise = frame_noise(3, (1, fold * voice.spec.width, -(-frames // fold)))[0]
        (audio_BS,) = run_graph(tmp_path / "out" / "voice.onnx", **inputs_of(one, noise))
        wanted_BS = sung(voice, one, Sampling(seed=3, steps=steps))
        assert audio_BS.shape == (1, frames * 256)
        assert abs(audio_BS - wanted_BS.numpy()).max() <= 1e-4 * max(1.0, float(wanted_BS.abs().max()))


def test_the_graphs_of_visinger_read_a_score_as_torch_does(tmp_path):
    run = runs.make_visinger(tmp_path / "run")
    export(run, tmp_path / "out", "onnx")
    voice, singer_BE = load_visinger(run), told(4).singer_BE
    timed, content_CF, melody = voice.read(star_score(), singer_BE[0])
    lengths = stacked([lengths_item(star_score())])
    (seconds_BP,) = run_graph(
        tmp_path / "out" / "lengths.onnx", phone=lengths["phone_B3P"], phone_numbers=lengths["phone_BKP"],
        singer=singer_BE,
    )  # fmt: skip
    first = timed.phones[0]
    assert first.end_s - first.start_s == pytest.approx(float(seconds_BP[0, 0]), abs=1e-5)
    item = stacked([score_item(timed, voice.spec.rate_hz, content_CF.shape[1])])
    found = run_graph(
        tmp_path / "out" / "melody.onnx", sign=item["sign_B3N"], sign_numbers=item["sign_BKN"],
        note_numbers=item["note_BKM"], sign_of_frame=item["sign_of_BF"], note_of_frame=item["note_of_BF"],
        frame_numbers=item["frame_BKF"], midi=item["midi_BF"], since_s=item["since_BF"], swell=item["swell_BF"],
        singer=singer_BE,
    )  # fmt: skip
    wanted = (content_CF[None], melody.f0_hz_BF, melody.voiced_BF, melody.loudness_db_BF)
    for ours, theirs in zip(wanted, map(torch.from_numpy, found), strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-4 * max(1.0, float(ours.float().abs().max())), rtol=0)
    one = Told(content_CF[None], *map(torch.from_numpy, found[1:]), singer_BE)
    noise = frame_noise(3, (1, 2 * voice.spec.width, -(-one.num_frames // 2)))[0]
    (audio_BS,) = run_graph(tmp_path / "out" / "voice.onnx", **inputs_of(one, noise))
    assert abs(audio_BS - sung(voice, one).numpy()).max() <= 1e-4


def test_a_file_says_its_opset_and_its_manifest_what_it_takes(tmp_path, monkeypatch, capsys):
    run = runs.make_vits(tmp_path / "run")
    out = tmp_path / "out"
    for _ in range(2):
        monkeypatch.setattr(sys, "argv", ["autosing", "export", str(run), "--out", str(out), "--as", "onnx", "--json"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
        assert float(json.loads(capsys.readouterr().out)["rows"][0]["from_torch"]) <= 1e-4
    model = onnx.load(str(out / "voice.onnx"))
    assert [one.version for one in model.opset_import if one.domain == ""] == [OPSET]
    assert {one.key: one.value for one in model.metadata_props}["autosing.sample_rate_hz"] == "24000"
    facts = json.loads((out / "export.json").read_text())
    assert facts["opset"] == OPSET and [singer["name"] for singer in facts["singers"]] == ["a", "b"]
    assert facts["graphs"]["voice.onnx"]["inputs"]["content"] == {"shape": [1, 16, "frames"], "type": "float32"}
    assert facts["content"][0]["name"] == "whisper-tiny.en"


def test_what_cannot_be_had_is_refused_with_a_remedy(tmp_path, monkeypatch):
    vits, flow = (
        runs.make_vits(tmp_path / "vits"),
        runs.make_flow(tmp_path / "flow", new_space("log_mel", mel=runs.MEL)),
    )
    vocoder, out = runs.make_vocoder(tmp_path / "vocoder"), tmp_path / "out"
    for run, form, wanted, says in (
        (tmp_path, "safetensors", Wanted(), "no model.safetensors in it"),
        (vits, "safetensors", Wanted(steps=2), "--steps: means nothing with --as safetensors"),
        (vits, "onnx", Wanted(steps=2), "sings in one pass; leave it out"),
        (vits, "onnx", Wanted(singers=("a",)), "--singer: means nothing with --as onnx"),
        (flow, "onnx", Wanted(), "name its run by --vocoder"),
        (vocoder, "onnx", Wanted(), "is a vocoder; --as onnx needs svc_vits, svc_flow or visinger"),
        (runs.make_flow(tmp_path / "fast", flow={"steps": 2}), "onnx", Wanted(steps=3), "distilled to 2"),
    ):
        with pytest.raises(InputError, match=says):
            export(run, out, form, wanted)
    with pytest.raises(InputError, match="is the run"):
        export(vits, vits)
    with pytest.raises(InputError, match="holds files that 'autosing export' did not write"):
        export(vits, flow)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"onnx not installed; run pip install 'autosing\[songs\]'"):
        export(vits, out, "onnx")
    assert not out.exists()
