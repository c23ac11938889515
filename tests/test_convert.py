"""`autosing convert` and `voices`: files in, files out, and what is refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from autosing.audio.io import Audio, decode, save
from autosing.checkpoint import load_model, save_model
from autosing.cli import main
from autosing.errors import InputError
from autosing.models.acoustic import MelConfig, new_space
from autosing.models.content import EncoderConfig, parts_of
from autosing.models.singers import KnownSinger, as_extra
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.vocoder import VocoderConfig, VocoderModel
from autosing.songs import tiny_song
from inference.voice.pitch_csv import read_pitch_csv
from inference.voice.retrieval import Retrieval, write_index
from support.conversion import whisper_file
from support.datasets import make_dataset


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(a run of random networks, its encoder's file, a source of 3 s, another singer's file)."""
    folder = tmp_path_factory.mktemp("made")
    weights = whisper_file(folder / "whisper.pt")
    parts = parts_of([EncoderConfig(name="whisper-own", layer=2)], {"whisper-own": str(weights)})
    torch.manual_seed(0)
    config = SvcFlowConfig(
        space=new_space("codec_latent"), content=parts, width=16, hidden=16, encoder_blocks=1, blocks=1
    )
    rosa = KnownSinger.of("rosa", np.eye(1, 256, 5)[0], 3, 9.0, (180.0, 260.0, 400.0))
    save_model(folder / "run", "svc_flow", config.dump(), SvcFlow(config).state_dict(), as_extra([rosa]))
    for name, seed in (("source", 1), ("singer", 2), ("second", 3)):
        _, _, stems = tiny_song(seed=seed, seconds=3)
        save(Audio(stems.vocals.samples_CS, stems.vocals.sample_rate_hz), folder / f"{name}.wav")
    return folder


@pytest.fixture
def run(made, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("inference.voice.convert.home", lambda: tmp_path / "home")
    monkeypatch.setattr("inference.voice.singers.home", lambda: tmp_path / "home")

    def call(*words: object, code: int = 0) -> dict | str:
        monkeypatch.setattr(sys, "argv", ["autosing", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        assert (stop.value.code or 0) == code, said.err
        return said.err if code else json.loads(said.out)

    return call


def convert(made: Path, *words: object) -> tuple[object, ...]:
    files = f"content_files={{whisper-own: {made / 'whisper.pt'}}}"
    return ("convert", "--model", made / "run", "--set", files, *words, "--json")


def test_a_file_is_sung_again_to_the_sample_and_twice_the_same(made, run, tmp_path):
    words = ("--source", made / "source.wav", "--singer", made / "singer.wav", "--out", tmp_path / "out.wav")
    row = run(*convert(made, *words, "--pitch-out", tmp_path / "f0.csv", "--shift", "0.5"))["rows"][0]
    source, out = decode(made / "source.wav"), decode(tmp_path / "out.wav")
    assert out.samples_CS.shape[1] == row["samples"] == round(source.duration_s * 24000)
    first = (tmp_path / "out.wav").read_bytes()
    again = run(*convert(made, *words, "--pitch", tmp_path / "f0.csv"))["rows"][0]
    assert (tmp_path / "out.wav").read_bytes() == first, "the pitch that was written is the pitch that was sung"
    assert again["semitones"] == 0 and row["semitones"] == 0.5
    assert len(list((tmp_path / "home" / "features").iterdir())) == 1, "heard once, kept"
    f0_T = read_pitch_csv(tmp_path / "f0.csv", 300)
    assert (f0_T > 0).mean() > 0.3


def test_a_singer_of_the_run_is_named_without_being_enrolled(made, run, tmp_path):
    source = ("--source", made / "source.wav")
    row = run(*convert(made, *source, "--singer", "rosa", "--key", "auto", "--out", tmp_path / "a.wav"))["rows"][0]
    assert row["singer"] == "rosa" and row["singer_hz"] == "180-400" and row["semitones"] != 0
    voices = run("voices", "list", "--model", made / "run", "--json")["rows"]
    assert [(voice["name"], voice["from"]) for voice in voices] == [("rosa", str(made / "run"))]
    run("voices", "mix", "same", "rosa=1", "rosa=2", "--model", made / "run", "--json")
    said = run(*convert(made, *source, "--singer", "nobody", "--out", tmp_path / "b.wav"), code=2)
    assert "enrolled voice (same)" in said and "(rosa)" in said


def test_voices_are_enrolled_listed_mixed_and_sung_over_time(made, run, tmp_path):
    row = run("voices", "enrol", "anna", made / "singer.wav", "--consent", "Anna agreed", "--json")["rows"][0]
    assert row["files"] == 1 and row["range_hz"]
    run("voices", "enrol", "bert", made / "second.wav", "--consent", "Bert agreed", "--json")
    run("voices", "mix", "both", "anna=0.25", "bert=0.75", "--json")
    assert [voice["name"] for voice in run("voices", "list", "--json")["rows"]] == ["anna", "bert", "both"]
    blended = ("--singer", "anna=0.25", "--singer", "bert=0.75")
    source = ("--source", made / "source.wav")
    run(*convert(made, *source, "--singer", "both", "--out", tmp_path / "a.flac"))
    run(*convert(made, *source, *blended, "--out", tmp_path / "b.flac"))
    a, b = (decode(tmp_path / name).samples_CS for name in ("a.flac", "b.flac"))
    np.testing.assert_allclose(a, b, atol=2e-4)
    (tmp_path / "who.csv").write_text("time_s,anna,bert\n0,1,0\n3,0,1\n")
    run(*convert(made, *source, "--singer-over-time", tmp_path / "who.csv", "--out", tmp_path / "c.wav"))
    assert decode(tmp_path / "c.wav").samples_CS.shape == a.shape
    said = run(*convert(made, *source, "--singer", "anna=0", "--singer", "bert=0", "--out", tmp_path / "d.wav"), code=2)
    assert "need weights of 0 or more, one above 0" in said


def test_a_folder_is_converted_and_what_is_no_audio_is_said(made, run, tmp_path):
    folder = tmp_path / "in" / "sub"
    folder.mkdir(parents=True)
    (folder / "a.wav").write_bytes((made / "source.wav").read_bytes())
    (tmp_path / "in" / "b.wav").write_bytes(b"RIFF nothing")
    words = convert(made, "--source", tmp_path / "in", "--singer", made / "singer.wav", "--out", tmp_path / "o")
    with pytest.raises(AssertionError):  # exit code 2: one of them failed
        run(*words)
    assert (tmp_path / "o" / "sub" / "a.wav").is_file() and not (tmp_path / "o" / "b.wav").exists()


def test_a_song_is_converted_over_its_music(made, run, tmp_path):
    _, _, stems = tiny_song(seed=5, seconds=3)
    save(stems.mix, tmp_path / "song.wav")
    words = ("--source", tmp_path / "song.wav", "--singer", made / "singer.wav", "--out", tmp_path / "o.wav")
    run(*convert(made, *words, "--over-music"))
    assert decode(tmp_path / "o.wav").samples_CS.shape[1] == stems.mix.samples_CS.shape[1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--source": "none.wav"}, "no such file"),
        ({"--singer": "nobody"}, "neither an enrolled voice"),
        ({"--out": "x.txt"}, "need .wav"),
        ({"--model": "nowhere"}, "nowhere"),
        ({"--shift": "99"}, "need -36 to 36"),
        ({"--method": "dpm++2"}, "dpm"),
        ({"--steps": "0"}, "steps"),
    ],
)
def test_bad_input_is_one_clear_line(made, run, tmp_path, change, says):
    given = {
        "--model": made / "run", "--source": made / "source.wav", "--singer": made / "singer.wav",
        "--out": tmp_path / "out.wav", "--set": f"content_files={{whisper-own: {made / 'whisper.pt'}}}",
    }  # fmt: skip
    said = run("convert", *(word for pair in {**given, **change}.items() for word in pair), code=2)
    assert says in said
    assert not (tmp_path / "out.wav").exists()


def test_another_tracker_may_follow_the_source(made, run, tmp_path):
    found = []
    for name in ("fcpe", "swiftf0"):
        words = ("--source", made / "source.wav", "--singer", "rosa", "--out", tmp_path / f"{name}.wav")
        pitch = tmp_path / f"{name}.csv"
        run(*convert(made, *words, "--set", f"tracker={name}", "--pitch-out", pitch))
        found.append(np.array([float(line.split(",")[1]) for line in pitch.read_text().splitlines()[1:]]))
    both = (found[0] > 0) & (found[1] > 0)
    assert both.sum() > 50 and not np.array_equal(*found)
    assert np.median(np.abs(1200 * np.log2(found[0][both] / found[1][both]))) < 20


def test_files_of_others_are_kept_and_our_own_replaced(made, run, tmp_path):
    out, pitch = tmp_path / "o" / "out.flac", tmp_path / "pitch.csv"
    words = ("--source", made / "source.wav", "--singer", "rosa", "--out", out, "--pitch-out", pitch)
    run(*convert(made, *words))
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.flac", "out.json"]
    record = json.loads((out.parent / "out.json").read_text())
    assert record["made_by"] == "autosing convert" and set(record["files"]) == {"out.flac", "../pitch.csv"}
    run(*convert(made, *words, "--shift", "1"))
    pitch.write_text(pitch.read_text() + "\n")
    said = run(*convert(made, *words), code=2)
    assert "pitch.csv was changed since 'autosing convert' wrote it" in said and "--force" in said
    run(*convert(made, *words, "--force"))
    said = run(*convert(made, *words, "--pitch", pitch), code=2)
    assert "would replace what is read as --pitch" in said


def test_a_record_of_another_and_two_sources_for_one_name_are_refused_before_work(made, run, tmp_path):
    (tmp_path / "out.json").write_text("{}")
    common = ("--singer", "rosa", "--model", made / "run", "--json")
    said = run("convert", "--source", made / "source.wav", "--out", tmp_path / "out.wav", *common, code=2)
    assert "out.json is there, and 'autosing convert' did not write it" in said
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.wav", "a.flac"):
        (folder / name).write_bytes(b"")
    said = run("convert", "--source", folder, "--out", tmp_path / "o", *common, code=2)
    assert "a.wav: would be written over a.flac" in said and not (tmp_path / "o").exists()
    said = run("convert", "--source", folder, "--out", folder, *common, code=2)
    assert "rename one" in said or "did not write it" in said


def test_an_ogg_is_the_same_bytes_twice(made, run, tmp_path):
    words = ("--source", made / "source.wav", "--singer", "rosa")
    for name in ("a", "b"):
        run(*convert(made, *words, "--out", tmp_path / f"{name}.ogg"))
    assert (tmp_path / "a.ogg").read_bytes() == (tmp_path / "b.ogg").read_bytes()


def test_mel_frames_are_made_sound_by_the_vocoder_that_is_named_and_by_no_other(made, run, tmp_path):
    mel = MelConfig(bands=40, sample_rate_hz=32_000, hop_samples=320)
    config = SvcFlowConfig.build({
        **load_model(made / "run").config, "space": new_space("log_mel", mel=mel).dump(), "estimator": "convnext",
    })  # fmt: skip
    save_model(tmp_path / "mel", "svc_flow", config.dump(), SvcFlow(config).state_dict())
    for name, frames in (("right", mel), ("wrong", mel.model_copy(update={"sample_rate_hz": 24_000, "bands": 30}))):
        vocoder = VocoderConfig(mel=frames, width=16, hidden=16, blocks=1)
        save_model(tmp_path / name, "vocoder", vocoder.dump(), VocoderModel(vocoder).state_dict())
    files = f"content_files={{whisper-own: {made / 'whisper.pt'}}}"
    words = ("convert", "--model", tmp_path / "mel", "--set", files, "--source", made / "source.wav")
    words = (*words, "--singer", made / "singer.wav", "--out", tmp_path / "out.wav", "--json")
    assert "no vocoder is given" in (said := run(*words, code=2)) and "--vocoder" in said
    said = run(*words, "--vocoder", tmp_path / "wrong", code=2)
    assert "sample_rate_hz 24000 (need 32000), bands 30 (need 40)" in said
    assert "found a svc_flow model, need vocoder" in run(*words, "--vocoder", made / "run", code=2)
    row = run(*words, "--vocoder", tmp_path / "right")["rows"][0]
    out = decode(tmp_path / "out.wav")
    assert out.sample_rate_hz == row["sample_rate_hz"] == 32_000
    assert out.samples_CS.shape[1] == round(decode(made / "source.wav").duration_s * 32_000)
    said = run(*convert(made, *words[5:], "--vocoder", tmp_path / "right"), code=2)
    assert "leave the vocoder out" in said


def test_a_model_of_another_kind_or_codec_or_of_other_ears_is_refused(made, run, tmp_path):
    known = load_model(made / "run")
    other = {**known.config, "space": {**known.config["space"], "digest": "0" * 64}}
    save_model(tmp_path / "codec", "svc_flow", other, known.state)
    deaf = {**known.config, "content": [{**known.config["content"][0], "digest": "1" * 64}]}
    save_model(tmp_path / "deaf", "svc_flow", deaf, known.state)
    save_model(tmp_path / "kind", "t2s", {}, {})
    words = ("--source", made / "source.wav", "--singer", made / "singer.wav", "--out", tmp_path / "out.wav")
    for name, says in (
        ("codec", "was 000000000000 when the model was made"),
        ("deaf", "give the same weights"),
        ("kind", "found a t2s model, need svc_flow"),
    ):
        assert says in run(*convert(made, *words, "--model", tmp_path / name), code=2)
    assert not (tmp_path / "out.wav").exists()


def test_short_silent_and_foreign_things(made, run, tmp_path):
    soundfile.write(tmp_path / "short.wav", 0.1 * np.sin(np.arange(2400) / 5), 24000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(48000), 24000)
    soundfile.write(tmp_path / "tiny.wav", np.zeros(100), 24000)
    common = ("--singer", made / "singer.wav")
    run(*convert(made, "--source", tmp_path / "short.wav", *common, "--out", tmp_path / "a.wav"))
    assert decode(tmp_path / "a.wav").samples_CS.shape[1] == 2400
    run(*convert(made, "--source", tmp_path / "silent.wav", *common, "--out", tmp_path / "b.wav"))
    assert np.abs(decode(tmp_path / "b.wav").samples_CS).max() == 0
    said = run(*convert(made, "--source", tmp_path / "tiny.wav", *common, "--out", tmp_path / "c.wav"), code=2)
    assert "need 0.05 s" in said
    (tmp_path / "mine.wav").write_bytes(b"not to be lost")
    said = run(*convert(made, "--source", made / "source.wav", *common, "--out", tmp_path / "mine.wav"), code=2)
    assert "did not write it" in said and (tmp_path / "mine.wav").read_bytes() == b"not to be lost"
    said = run(*convert(made, "--source", made / "source.wav", "--singer", tmp_path / "silent.wav", "--out",
                        tmp_path / "d.wav"), code=2)  # fmt: skip
    assert "nothing sounds" in said


def test_content_is_drawn_towards_a_singers_own_and_never_to_nan(tmp_path):
    rng = np.random.default_rng(0)
    own_MD = rng.standard_normal((500, 8)).astype(np.float16)
    write_index(tmp_path / "own.npy", [own_MD[:300], own_MD[300:]])
    source_ND = rng.standard_normal((3000, 8)).astype(np.float32)
    half_ND = Retrieval(tmp_path / "own.npy", 0.5)(source_ND)
    whole_ND = Retrieval(tmp_path / "own.npy", 1.0, nearest=1)(source_ND)
    away = np.square(source_ND[:, None] - own_MD.astype(np.float32)).sum(2)
    np.testing.assert_allclose(whole_ND, own_MD[away.argmin(1)].astype(np.float32), atol=1e-3)
    assert np.isfinite(half_ND).all() and not np.allclose(half_ND, source_ND)
    np.testing.assert_array_equal(Retrieval(tmp_path / "own.npy", 0.0)(source_ND), source_ND)
    exact_ND = Retrieval(tmp_path / "own.npy", 1.0)(own_MD.astype(np.float32))
    np.testing.assert_allclose(exact_ND, own_MD.astype(np.float32), atol=1e-2)
    with pytest.raises(InputError, match="of content with 8 numbers"):
        Retrieval(tmp_path / "own.npy")(source_ND[:, :4])


def test_an_index_is_made_of_one_singers_clips(run, tmp_path):
    make_dataset(tmp_path / "data", {"train": 8, "valid": 2}, duration_s=0.6, groups=("meta", "content"))
    words = ("voices", "index", "own", tmp_path / "data")
    row = run(*words, "--singer", "train-singer0", "--json")["rows"][0]
    assert row["frames"] == 4 * 30 and Path(row["file"]).is_file()
    assert "nobody is called 'x'" in run(*words, "--singer", "x", "--json", code=2)
