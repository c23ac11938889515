"""`autosing evaluate`: models and other systems on the same clips; its figures are the packages' own, and kept."""

import base64
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autosing.audio.io import Audio, decode, save
from autosing.audio.pitch import load_tracker
from autosing.checkpoint import save_model
from autosing.cli import main
from autosing.errors import InputError
from autosing.metrics.pitch import pitch_errors, pitch_scores
from autosing.metrics.recognition import recognised
from autosing.metrics.scores import FIGURES
from autosing.metrics.speaker import cosine
from autosing.metrics.spectral import lsd_db, mcd_db, mel_distance_db
from autosing.models.acoustic import MelConfig, new_space
from autosing.models.content import EncoderConfig, parts_of
from autosing.models.speaker import load_speaker_encoder
from autosing.models.svc_flow import SvcFlow, SvcFlowConfig
from autosing.models.visinger import Visinger, VisingerConfig, flow_config
from autosing.storage.store import digest_of
from inference.evaluate import page as page_module
from inference.evaluate.clips import clips_of, made_clips
from inference.evaluate.systems import check_given, common_rate
from inference.provenance.tags import read_tags, write_tags
from support.conversion import make_conversion
from support.datasets import make_dataset
from tests.test_svc_vits import made as made_vits

RATE_HZ = 24_000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(songs of two singers, two each, of 3 s; a run of random networks, its encoder's file)."""
    return make_conversion(tmp_path_factory.mktemp("made"), songs=4, singers=2, seconds=3)


@pytest.fixture
def run(made, monkeypatch, capsys, tmp_path):
    """words -> the JSON beside the page, or what is said where it ends with `code`. Whisper's stand-in hears "la"."""
    monkeypatch.setattr("inference.evaluate.run.home", lambda: tmp_path / "home")
    monkeypatch.setattr("autosing.metrics.recognition.hear", lambda *_: "la la")

    def call(*words: object, data: Path = made / "songs", out: str = "page.html", code: int = 0) -> dict | str:
        files = f"convert.content_files={{whisper-own: {made / 'whisper.pt'}}}"
        typed = ["autosing", "evaluate", data, "--out", tmp_path / out, "--set", files, *words, "--json"]
        monkeypatch.setattr(sys, "argv", list(map(str, typed)))
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        assert (stop.value.code or 0) == code, said.err
        return said.err if code else json.loads((tmp_path / out).with_suffix(".json").read_text())

    return call


def test_figures_are_those_of_the_packages_and_stay_the_same_when_kept(made, run, tmp_path, monkeypatch):
    words = ("--model", made / "run", "--clips", 2, "--sounds", tmp_path / "sounds")
    facts = run(*words)
    assert list(facts["systems"]) == ["truth", "source", "resynthesis", "world", "run"] and facts["rate_hz"] == RATE_HZ
    track, voice = load_tracker("fcpe"), load_speaker_encoder()
    known = {clip.name: replace(clip, rate_hz=RATE_HZ) for clip in made_clips(made / "songs", 15.0)}
    for told in facts["clips"]:
        clip = known[told["name"]]
        for system in ("world", "resynthesis"):
            made_S = decode(tmp_path / "sounds" / system / f"{clip.name}.wav").samples_CS[0]
            errors = pitch_errors(track(clip.audio_S, RATE_HZ), 100, track(made_S, RATE_HZ), 100)
            chroma = pitch_scores(track(clip.audio_S, RATE_HZ), 100, track(made_S, RATE_HZ), 100)["chroma"]
            heard = [recognised(text, "la la", "en") for text, _, _ in clip.lines]
            wrong = sum(min(one.word_errors, one.words) for one in heard)
            other = next(c for c in known.values() if c.singer == clip.singer and c.name != clip.name)
            wanted = {
                "f0_rmse_cents": errors.rmse_cents, "f0_correlation": errors.correlation, "ffe": errors.ffe,
                "voicing_error": errors.voicing_error, "chroma": chroma,
                "mel_distance_db": mel_distance_db(clip.audio_S, made_S, RATE_HZ),
                "mcd_db": mcd_db(clip.audio_S, made_S, RATE_HZ), "lsd_db": lsd_db(clip.audio_S, made_S, RATE_HZ),
                "wer": wrong / sum(one.words for one in heard),
                "cosine_to_target": cosine(voice.embed(made_S, RATE_HZ), voice.embed(other.audio_S, RATE_HZ)),
            }  # fmt: skip
            found = told["systems"][system]
            more = {"rtf"} if system == "world" else set()
            assert set(found) == {*wanted, "cer", "nearest", "nearest_spectrum", "cosine_to_source"} | more
            for name, value in wanted.items():
                assert found[name] == pytest.approx(value, abs=1e-4), (system, name)
        assert told["systems"]["truth"] == told["systems"]["source"]
        assert told["systems"]["truth"]["mel_distance_db"] == 0 and told["systems"]["truth"]["nearest"] == 1
    assert facts["systems"]["run"]["rtf"]["mean"] > 0

    def never(*_: object) -> None:
        raise AssertionError("what was measured is measured again")

    spectra = (f"spectral.{name}_db" for name in ("mel_distance", "mcd", "lsd"))
    loaded = ("meter.load_tracker", "meter.load_speaker_encoder")
    called = ("pitch.pitch_errors", "pitch.pitch_scores", "recognition.hear", *spectra, *loaded)
    for package in called:
        monkeypatch.setattr(f"autosing.metrics.{package}", never)
    again = run(*words, "--force")
    assert again["figures"]["measured"] == 0 < facts["figures"]["measured"]

    def timeless(systems: dict) -> dict:
        return {name: {k: v for k, v in found.items() if k != "rtf"} for name, found in systems.items()}

    assert timeless(again["systems"]) == timeless(facts["systems"])
    assert [clip["name"] for clip in again["clips"]] == [clip["name"] for clip in facts["clips"]]


def test_the_page_names_models_and_clips_the_worst_first(made, run, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for number, clip in enumerate(made_clips(made / "songs", 15.0)):
        noise_S = np.random.default_rng(0).normal(0, 0.3, len(clip.audio_S)).astype(np.float32)
        save(Audio((noise_S if number == 2 else clip.audio_S)[None], RATE_HZ), theirs / f"{clip.name}.wav")
    write_tags(theirs / "song2.wav", {"AUTOSING_COMMAND": "autosing convert"}, "")
    kept = ("--sounds", tmp_path / "sounds")
    facts = run("--model", made / "run", "--against", theirs, "--no-words", "--shown", 3, *kept)
    assert list(facts["systems"]) == ["truth", "source", "resynthesis", "world", "run", "theirs"]
    assert "rtf" not in facts["systems"]["theirs"] and "wer" not in facts["systems"]["run"]
    names = [clip["name"] for clip in facts["clips"]]
    assert names[0] == "song2" and len(names) == 4, "noise in place of singing"
    badness = [clip["badness"] for clip in facts["clips"]]
    assert badness == sorted(badness, reverse=True) and badness[0] > badness[1]
    for clip in facts["clips"][1:]:
        assert clip["systems"]["theirs"] == clip["systems"]["truth"], "the same sounds, the same figures"
    page = (tmp_path / "page.html").read_text()
    titles = re.findall(r"<figcaption><b>([^<]*)</b>", page)
    shown = ("truth", "resynthesis", "world", "run", "theirs")
    assert titles == [f"{name}: {system}" for name in names[:3] for system in shown]
    digest = digest_of(made / "run" / "model.safetensors")
    sound = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', page)
    for number, system in enumerate(shown):
        (tmp_path / "player.mp3").write_bytes(base64.b64decode(sound[number]))
        tags = read_tags(tmp_path / "player.mp3")
        assert tags == read_tags(tmp_path / "sounds" / system / "song2.wav")
        if system == "run":
            assert tags["AUTOSING_COMMAND"] == "autosing evaluate" and tags["AUTOSING_MODELS"] == f"svc_flow={digest}"
        else:
            assert tags == ({"AUTOSING_COMMAND": "autosing convert"} if system == "theirs" else {}), system
    for label in (FIGURES[name].label for name in facts["systems"]["theirs"] if name != "clips"):
        assert page.count(f">{label}</th>") == 1 + 3, "over all clips, and of each that is shown"
    assert page.count("<audio ") == len(titles) and page.count('class="pitch"') > 0 and '<div class="words">' in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "the page must need nothing outside itself"
    assert all(f">{name}</td>" in page for name in ("run", "theirs", *names))


def test_every_figure_stands_in_one_table():
    named = [name for names in page_module._TABLES.values() for name in names]
    assert sorted(named) == sorted(FIGURES)


def test_runs_of_every_family_stand_in_one_page(made, run, tmp_path):
    parts = parts_of([EncoderConfig(name="whisper-own", layer=2)], {"whisper-own": str(made / "whisper.pt")})
    vits = made_vits(content=[part.dump() for part in parts], generator="source_filter")
    save_model(tmp_path / "vits", "svc_vits", vits.config.dump(), vits.state_dict())
    flow = flow_config(new_space("codec_latent"), 16, {"width": 16, "hidden": 16, "encoder_blocks": 1, "blocks": 1})
    config = VisingerConfig.build({
        "flow": flow.dump(), "content": 16, "sign_blocks": 1, "frame_blocks": 1,
        "curves": {"width": 16, "blocks": 1, "small_width": 8},
    })  # fmt: skip
    save_model(tmp_path / "score", "visinger", config.dump(), Visinger(config).state_dict())
    models = [word for path in (made / "run", tmp_path / "vits", tmp_path / "score") for word in ("--model", path)]
    said = run(*models, "--clips", 2, "--no-words", code=2)
    assert "vits: sings at 32000 Hz, run at 24000 Hz" in said and "--rate 24000" in said
    facts = run(*models, "--clips", 2, "--no-words", "--rate", 24_000, "--shown", 1)
    assert list(facts["systems"])[4:] == ["run", "vits", "score"]
    for name in ("run", "vits", "score"):
        found = facts["systems"][name]
        assert {"voicing_error", "mel_distance_db", "lsd_db", "cosine_to_target", "rtf"} <= set(found), name
        assert found["rtf"]["mean"] > 0 and found["clips"] == 2
    assert "takes a score" in run("--model", tmp_path / "score", data=recordings(tmp_path), code=2)


def recordings(folder: Path) -> Path:
    for name in ("a", "b"):
        (folder / "real" / name).mkdir(parents=True)
        save(Audio(np.ones((1, 3 * RATE_HZ), np.float32) / 9, RATE_HZ), folder / "real" / name / "c.wav")
    return folder / "real"


def test_as_another_singer_the_target_is_another_and_there_is_no_truth_to_compare_with(made, run):
    facts = run("--model", made / "run", "--clips", 2, "--target", "other", "--no-words", "--shown", 0)
    assert all(clip["target"] != clip["singer"] for clip in facts["clips"])
    systems = facts["systems"]
    assert "mel_distance_db" in systems["truth"] and "mel_distance_db" not in systems["run"]
    assert systems["truth"]["nearest"]["mean"] == 1 and systems["source"]["nearest"]["mean"] == 0
    assert systems["world"]["f0_rmse_cents"]["mean"] < 50


def test_a_dataset_and_recordings_give_clips_with_what_is_known_of_them(made, tmp_path):
    make_dataset(tmp_path / "d", {"train": 2, "valid": 2}, 1.0, groups=("meta", "audio", "score"))
    found = clips_of(tmp_path / "d", tmp_path / "work", 15.0, "en", None, 0)
    assert [clip.name for clip in found] == ["valid0-0", "valid0-1"] and len(found[0].audio_S) == RATE_HZ
    assert found[0].lines == (("la0 la1", 0.0, 1.0),) and found[0].words[1] == ("la1", 0.5, 0.9)
    assert found[0].read_score().notes and found[0].speech is None
    home = tmp_path / "real" / "anna"
    home.mkdir(parents=True)
    tone_S = np.sin(np.arange(8 * 16_000) * 0.1).astype(np.float32)
    for name in ("a.b", "c"):
        save(Audio(tone_S[None], 16_000), home / f"{name}.wav")
    (home / "c.lrc").write_text("[00:00.50]<00:00.50>la <00:01.00>la\n[00:02.00]\n[00:03.90]cut\n[00:05.00]ti\n")
    (home / "a.b.txt").write_text("la la\nla")
    whole = clips_of(tmp_path / "real", tmp_path, 15.0, "en", None, 0)
    assert [(clip.name, clip.singer) for clip in whole] == [("anna/a.b", "anna"), ("anna/c", "anna")]
    assert whole[0].lines == (("la la la", 0.0, 8.0),)
    pieces = [clip for clip in clips_of(tmp_path / "real", tmp_path, 4.0, "en", None, 0) if "c-" in clip.name]
    assert [clip.name for clip in pieces] == ["anna/c-0", "anna/c-4"]
    assert pieces[0].lines == (("la la", 0.5, 2.0),) and pieces[0].words == (("la", 0.5, 1.0), ("la", 1.0, 2.0))
    assert pieces[1].lines == (("ti", 1.0, 4.0),)
    song = made_clips(made / "songs", 15.0)[0]
    assert song.words and song.read_score().notes and song.speech is None


class Stands:
    """In place of a model that is not there."""

    costs = False

    def __init__(self, takes: str, rate_hz: int) -> None:
        self.takes, self.sample_rate_hz = takes, rate_hz


def test_a_model_is_given_what_it_takes_or_the_clip_is_refused(made):
    clip = made_clips(made / "songs", 15.0)[0]
    check_given("visinger", Stands("score", RATE_HZ), [clip])
    with pytest.raises(InputError, match="takes speech, clip song0 has none"):
        check_given("sts", Stands("speech", RATE_HZ), [clip])
    with pytest.raises(InputError, match="takes a score, clip song0 has none with words"):
        check_given("visinger", Stands("score", RATE_HZ), [replace(clip, read_score=None)])


def test_rates_that_differ_are_refused_unless_one_is_asked_for():
    both = {"a": Stands("source", 24_000), "b": Stands("source", 44_100)}
    with pytest.raises(InputError, match=r"b: sings at 44100 Hz, a at 24000 Hz.*--rate 24000"):
        common_rate(both, None, 24_000)
    assert common_rate(both, 16_000, 24_000) == 16_000
    with pytest.raises(InputError, match="a: is at 24000 Hz, need 32000 Hz"):
        common_rate(both, 32_000, 24_000)


def test_bad_input_is_one_clear_line(made, run, tmp_path):
    model = ("--model", made / "run")
    (tmp_path / "empty").mkdir()
    assert "no audio in it" in run(*model, data=tmp_path / "empty", code=2)
    assert "no such folder" in run(*model, data=tmp_path / "nowhere", code=2)
    assert "nothing to evaluate" in run(code=2)
    assert "need .html" in run(*model, out="page.txt", code=2)
    assert "is given twice" in run(*model, *model, code=2)
    assert "no such folder" in run("--against", tmp_path / "nowhere", code=2)
    assert "is no dataset" in run(*model, "--split", "test", code=2)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for number in range(4):
        save(Audio(np.zeros((1, RATE_HZ), np.float32), RATE_HZ), theirs / f"other{number}.wav")
    assert "Name each as its clip: song0.wav" in run("--against", theirs, code=2)
    for number in range(4):
        (theirs / f"other{number}.wav").rename(theirs / f"song{number}.wav")
    assert "1.00 s for clip song0 of" in run("--against", theirs, code=2)
    assert "need 96000 Hz" in run("--against", theirs, "--rate", 96_000, code=2)
    space = new_space("log_mel", mel=MelConfig())
    parts = parts_of([EncoderConfig(name="whisper-own", layer=2)], {"whisper-own": str(made / "whisper.pt")})
    config = SvcFlowConfig(space=space, content=parts, width=16, hidden=16, encoder_blocks=1, blocks=1)
    save_model(tmp_path / "mel", "svc_flow", config.dump(), SvcFlow(config).state_dict())
    assert "no vocoder is given" in run("--model", tmp_path / "mel", code=2)
    save_model(tmp_path / "t2s", "t2s", {}, {})
    assert "found a t2s model, need svc_flow or svc_vits or visinger" in run("--model", tmp_path / "t2s", code=2)
    (tmp_path / "page.html").write_text("mine")
    assert "did not write it" in run(*model, code=2)
    assert (tmp_path / "page.html").read_text() == "mine"
