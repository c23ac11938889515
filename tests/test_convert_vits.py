"""`autosing convert` takes a run of svc_vits as one of svc_flow, and says what it cannot be asked."""

import json
import sys

import numpy as np
import pytest

from autosing.audio.io import Audio, decode, save
from autosing.checkpoint import save_model
from autosing.cli import main
from autosing.models.content import EncoderConfig, parts_of
from autosing.songs import tiny_song
from support.conversion import whisper_file
from tests.test_svc_vits import RATES, made


@pytest.fixture
def convert(tmp_path, monkeypatch, capsys):
    """Words -> the summary's row, or what was said of bad input."""
    weights = whisper_file(tmp_path / "whisper.pt")
    parts = parts_of([EncoderConfig(name="whisper-own", layer=2)], {"whisper-own": str(weights)})
    content = [part.dump() for part in parts]
    for name, values in {
        "fast": {"generator": "source_filter"},
        "full": {"sample_rate_hz": 44100, **RATES[44100]},
    }.items():
        model = made(content=content, **values)
        save_model(tmp_path / name, "svc_vits", model.config.dump(), model.state_dict())
    for name, seed in (("source", 1), ("singer", 2)):
        _, _, stems = tiny_song(seed=seed, seconds=2)
        save(Audio(stems.vocals.samples_CS, stems.vocals.sample_rate_hz), tmp_path / f"{name}.wav")
    monkeypatch.setattr("inference.voice.convert.home", lambda: tmp_path / "home")

    def call(run: str, out: str, *words: str, code: int = 0) -> dict[str, object] | str:
        given = ["--source", tmp_path / "source.wav", "--singer", tmp_path / "singer.wav", "--out", tmp_path / out]
        given += ["--set", f"content_files={{whisper-own: {weights}}}", *words, "--json"]
        monkeypatch.setattr(sys, "argv", ["autosing", "convert", "--model", str(tmp_path / run), *map(str, given)])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        assert (stop.value.code or 0) == code, said.err
        return said.err if code else json.loads(said.out)["rows"][0]

    return call


@pytest.mark.parametrize(("run", "rate"), [("fast", 32000), ("full", 44100)])
def test_a_file_is_sung_again_at_the_models_rate_and_twice_the_same(convert, run, rate, tmp_path):
    row = convert(run, "out.wav", "--shift", "1")
    first = decode(tmp_path / "out.wav")
    assert first.sample_rate_hz == row["sample_rate_hz"] == rate
    assert first.samples_CS.shape[1] == round(decode(tmp_path / "source.wav").duration_s * rate)
    bytes_before = (tmp_path / "out.wav").read_bytes()
    convert(run, "out.wav", "--shift", "1")
    assert (tmp_path / "out.wav").read_bytes() == bytes_before
    convert(run, "calm.wav", "--shift", "1", "--temperature", "0")
    assert np.abs(decode(tmp_path / "calm.wav").samples_CS - first.samples_CS).max() > 1e-4


def test_what_one_pass_has_no_use_for_is_told(convert, tmp_path):
    assert "--steps 10" in convert("fast", "out.wav", "--steps", "10", code=2)
    assert "sings in one pass" in convert("fast", "out.wav", "--guidance", "2", code=2)
    assert "--guidance-singer 2.0" in convert("fast", "out.wav", "--guidance-singer", "2", code=2)
    save_model(tmp_path / "codec", "codec", {}, {})
    said = convert("codec", "out.wav", code=2)
    assert "found a codec model, need svc_flow or svc_vits" in said
    assert not (tmp_path / "out.wav").exists()
