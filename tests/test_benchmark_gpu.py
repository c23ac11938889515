"""benchmarks/gpu.py on a CPU with tiny sizes; and the decoder of fixed shapes, which a CUDA graph can hold."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from autosing.errors import InputError
from autosing.generation.incremental import FixedDecoder, IncrementalDecoder
from autosing.models.conditions import music_item, singer_item, stack, text_item
from autosing.text.tokenizer import TimedText
from support.clips import SPEC, made_clip
from support.models import made_t2s

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("gpu")


def test_the_decoder_of_fixed_shapes_does_what_the_growing_one_does():
    model, clip = made_t2s(use_singer=True), made_clip(1)
    items = [
        text_item(TimedText.of_words(clip.meta.words, clip.meta.lines))
        | music_item(SPEC.unflatten(clip.array("instrumental_codes")), model.pattern, model.music_rows)
        | singer_item(clip.array("singer")),
        text_item(None) | music_item(None, model.pattern, model.music_rows) | singer_item(None),
    ]
    with torch.inference_mode():
        memory, positions_T = model.encode(stack(items)), torch.arange(9.0)
        growing = IncrementalDecoder(model.decoder, memory.text, memory.music, positions_T, 2)
        fixed = FixedDecoder(model.decoder, memory.text, memory.music, positions_T, 2)
        x_TBD = torch.randn(9, 2, 64)
        wanted = [growing(x_BD[:, None]) for x_BD in x_TBD]
        for _ in range(2):  # what an earlier song left in the cache does not matter
            fixed.place_1.zero_()
            for x_BD, wanted_BD in zip(x_TBD, wanted, strict=True):
                torch.testing.assert_close(fixed(x_BD), wanted_BD, atol=1e-5, rtol=1e-5)
    held = sum(p.numel() for p in model.decoder.blocks.parameters())
    assert fixed.read_bytes > 4 * 0.8 * held


@pytest.mark.parametrize("scale", ["fine", "coarse"])
def test_steps_of_fixed_shapes_draw_the_codes_that_the_library_draws(gpu, scale):
    decode = importlib.import_module("gpu_decode")
    torch.manual_seed(0)
    with torch.inference_mode():
        eager, _, steps = decode.sm2a_ways(decode.sm2a_of("debug"), 1.0, 2, "cpu", scale)
        decode.captured(steps, "cpu")()
        found = steps.codes()
        assert [level.shape for level in found] == [(2, 11), (2, 22), (2, 44), (2, 88)]
        for ours, theirs in zip(found, eager(), strict=True):
            assert np.array_equal(ours, theirs)
    assert len(np.unique(found[-1])) > 20, "codes that differ"


def test_the_report_has_every_part(gpu, monkeypatch, capsys, tmp_path):
    words = ["--device", "cpu", "--tiny", "--no-compile", "--tasks", "svc_flow", "--out", tmp_path / "gpu.json"]
    monkeypatch.setattr(sys, "argv", ["gpu", *map(str, words)])
    gpu.main()
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "gpu.json").read_text())
    for kind in ("t2s", "sm2a"):
        found = report["decode"][kind]
        assert found["captured_is_uncaptured"] and found["share_as_library"] > 0.3 and not found["captured"]
        assert found["eager_s_per_step"] > 0 and 0 < found["of_bandwidth"] < 1
    found = report["train"]["svc_flow"]
    assert found["tflop_per_step"] > 0 and found["eager"]["of_measured"] > 0
    assert "mfu" not in found["eager"] and "compiled" not in found
    assert report["convert"]["rtf"] > report["convert"]["rtf_of_model"] > 0
    assert all(found["audio_hours_per_hour"] > 0 for found in report["features"].values())
    assert set(report["features"]) == {"separate", "pitch", "singer", "content", "acoustic"}


def test_a_step_costs_the_flops_of_its_batch_and_may_be_compiled(gpu):
    train = importlib.import_module("gpu_train")
    case = train.TINY["t2s"]
    one, two = (
        train.training("t2s", train.Case(case.settings, batch, case.clip_s), "cpu", 0.0, backend)
        for batch, backend in ((1, "eager"), (2, None))
    )
    assert one["compiled_layers"] == 4 and one["compiled"]["step_s"] > 0 and "compiled" not in two
    assert two["tflop_per_step"] == pytest.approx(2 * one["tflop_per_step"], rel=0.2)


def test_what_cannot_run_is_left_out_with_its_reason(gpu, monkeypatch):
    def missing() -> dict:
        raise InputError("no weights")

    assert gpu.attempted(missing, float("inf")) == {"skipped": "InputError: no weights"}
    assert "no time is left" in gpu.attempted(dict, 0.0)["skipped"]
    shared = gpu.with_shares({"eager": {"tflops": 5.0}, "read_gb_per_s": 1.0},
                             {"measured_tflops": 10.0, "datasheet_tflops": 20.0, "measured_gb_per_s": 4.0})  # fmt: skip
    assert shared["eager"] == {"tflops": 5.0, "of_measured": 0.5, "mfu": 0.25} and shared["of_bandwidth"] == 0.25
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--tiny", "--parts", "trian"])
    with pytest.raises(InputError, match="need some of train, decode"):
        gpu.main()
