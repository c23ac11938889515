"""The figures of voice conversion: controls behave, and both reports have all their keys on an untrained model."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from autosing.audio.io import save
from autosing.errors import InputError
from autosing.metrics.controls import WorldVoice, formant_ratio
from autosing.metrics.kept import Kept
from autosing.metrics.meter import Meter
from autosing.songs import SINGERS, tiny_song
from inference.evaluate import clips
from inference.evaluate.baselines import by_world, ratio_to
from inference.evaluate.cast import Cast, assigned
from inference.voice.pitch import Range
from inference.voice.singers import Voice
from support.conversion import make_conversion

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SUNG = {"f0_correlation", "f0_rmse_cents", "voicing_error", "ffe", "chroma", "cosine_to_source"}
AIMED = {"nearest", "nearest_spectrum", "cosine_to_target"}
REBUILT = {"mel_distance_db", "mcd_db", "lsd_db"}


@pytest.fixture
def benchmark():
    """name -> the module of that benchmark: convert of quality, flow."""

    def load(name: str) -> ModuleType:
        path = BENCHMARKS / ("quality/convert.py" if name == "convert" else "flow.py")
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def meter():
    return Meter(Kept(), clips.RATE_HZ)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(songs of three singers, two each, of 4 s; run of random networks, its encoder's file)."""
    return make_conversion(tmp_path_factory.mktemp("made"), songs=6, singers=3, seconds=4)


@pytest.fixture
def run(benchmark, made, monkeypatch, capsys, tmp_path):
    """(benchmark, words) -> its JSON. What stands for Whisper hears the same word in everything."""
    monkeypatch.setattr("inference.evaluate.systems.home", lambda: tmp_path / "home")
    asked = []

    def hear(audio_S: np.ndarray, sample_rate_hz: int, language: str, model: str) -> str:
        asked.append(len(audio_S) / sample_rate_hz)
        return "la"

    def call(name: str, *words: object) -> dict:
        module = benchmark(name)
        monkeypatch.setattr("autosing.metrics.recognition.hear", hear)
        files = f"content_files={{whisper-own: {made / 'whisper.pt'}}}"
        monkeypatch.setattr(sys, "argv", [name, *map(str, [made / "run", *words, "--set", files])])
        module.main()
        assert all(0.2 < seconds < 15 for seconds in asked)
        return json.loads(capsys.readouterr().out)

    return call


def test_the_report_on_made_songs_has_all_figures_and_its_controls_behave(run, made, tmp_path):
    unseen = SINGERS[2].name
    report = run("convert", "--songs", made / "songs", "--unseen", unseen, "--clips", 2, "--sounds", tmp_path / "s")
    assert report["clips"] == 2 and report["seen"] == 2 and report["unseen"] == 1 and report["singers"] == 3
    words = {"wer", "cer"}
    wanted = {
        **dict.fromkeys(("source", "codec", "latent", "self"), SUNG | AIMED | REBUILT | words), "own": AIMED,
        **dict.fromkeys(("seen", "unseen", "world_seen", "world_unseen"), SUNG | AIMED | words),
    }  # fmt: skip
    assert set(report["ways"]) == set(wanted)
    for way, found in report["ways"].items():
        # Random networks may sing nothing that has a pitch.
        assert wanted[way] - {"f0_correlation", "f0_rmse_cents"} <= set(found) <= wanted[way] | {"clips"}, way
        assert found["clips"] == 2
        for name in set(found) - {"clips"}:
            low, high = found[name]["interval"]
            assert low - 1e-4 <= found[name]["mean"] <= high + 1e-4
    source, latent = report["ways"]["source"], report["ways"]["latent"]
    assert source["f0_rmse_cents"]["mean"] == source["voicing_error"]["mean"] == source["mcd_db"]["mean"] == 0
    assert source["f0_correlation"]["mean"] == source["cosine_to_source"]["mean"] == 1
    assert source["nearest"]["mean"] == 0, "the source's singer is not the target"
    assert 0 < latent["mel_distance_db"]["mean"] < report["ways"]["self"]["mel_distance_db"]["mean"]
    assert report["ways"]["world_seen"]["f0_rmse_cents"]["mean"] < 50
    assert report["ways"]["own"]["nearest"]["mean"] == 1
    for way in set(wanted) - {"own"}:
        assert len(list((tmp_path / "s").glob(f"*-{way}.wav"))) == 2


def test_the_report_on_recordings_counts_words_that_are_heard_again(run, made, tmp_path):
    for number in range(4):
        _, _, stems = tiny_song(seed=number, seconds=4, singer=SINGERS[number % 2])
        home = tmp_path / "real" / SINGERS[number % 2].name
        home.mkdir(parents=True, exist_ok=True)
        save(stems.vocals_dry, home / f"{number}.wav")
    report = run("convert", "--real", tmp_path / "real", "--clips", 2)
    assert report["clips"] == 2 and "unseen" not in report["ways"]
    assert report["ways"]["seen"]["found_again"] == {"mean": 1.0, "interval": [1.0, 1.0], "of": 2}
    assert "wer" not in report["ways"]["seen"]
    one = run(
        "convert", "--real", tmp_path / "real", "--seen", SINGERS[0].name, "--clips", 4, "--sounds", tmp_path / "s"
    )
    assert one["clips"] == 2 and one["seen"] == 1, "the only target's own clips are left out"
    assert all(path.name.startswith(SINGERS[1].name.split()[0]) for path in (tmp_path / "s").iterdir())


def test_singers_of_one_song_and_names_that_nobody_has_are_refused(benchmark, made, meter, tmp_path):
    found = clips.made_clips(made / "songs", 15.0)
    with pytest.raises(InputError, match=r"1 \(.*\) have fewer than two clips"):
        Cast(found[:5], meter).check_all_known()
    with pytest.raises(InputError, match="singer 'Nobody': not among"):
        benchmark("convert").sides(Cast(found, meter), None, ["Nobody"])
    with pytest.raises(InputError, match="no truth"):
        clips.made_clips(tmp_path, 15.0)


def test_no_target_is_its_clips_singer_and_all_come_equally_often(made):
    sources = clips.made_clips(made / "songs", 15.0) * 3
    names = [singer.name for singer in SINGERS[:3]]
    targets = list(assigned(sources, names, 1))
    assert all(target != clip.singer for target, clip in zip(targets, sources, strict=True))
    counts = [targets.count(name) for name in names]
    assert max(counts) - min(counts) <= 2
    assert targets == list(assigned(sources, names, 1)) != list(assigned(sources, names, 2))


def test_centroids_know_neither_the_clip_nor_what_the_model_was_told(made, meter):
    found = clips.made_clips(made / "songs", 15.0)
    cast = Cast(found, meter)
    voices = [cast.voice(clip) for clip in found]
    source, target = found[0], found[1].singer
    centroids = cast.voices(source.song)
    np.testing.assert_allclose(centroids[source.singer], voices[3], err_msg="its other song")
    np.testing.assert_allclose(centroids[target], voices[1], err_msg="it is told by its second")
    np.testing.assert_allclose(centroids[found[2].singer], voices[2], err_msg="all are judged by as few")
    assert cast.told(source.singer, without=source.song).vector_E @ voices[3] > 0.99


def test_world_moves_the_pitch_to_the_targets_median_and_finds_a_formant_ratio(made, meter):
    source, target = clips.made_clips(made / "songs", 15.0)[:2]
    source_T, target_T = (meter.f0_hz(clip.audio_S) for clip in (source, target))
    voice = Voice("target", tuple(meter.voice(target.audio_S)), Range.of(target_T))
    made_voice = by_world(source, source_T, ratio_to(source_T, voice), target.audio_S, meter)
    assert Range.of(made_voice.asked_hz_T).middle_hz == pytest.approx(voice.range.middle_hz)
    found_T, asked_T = meter.f0_hz(made_voice.audio_S), made_voice.asked_hz_T
    both_T = (found_T > 0) & (asked_T > 0)
    assert abs(1200 * np.log2(np.median(found_T[both_T]) / np.median(asked_T[both_T]))) < 20
    assert len(made_voice.audio_S) == len(source.audio_S)
    plain = WorldVoice.of(source.audio_S, clips.RATE_HZ, source_T)
    for ratio in (0.88, 1.13):
        moved = WorldVoice.of(plain.sound(1.0, ratio), clips.RATE_HZ, source_T)
        assert formant_ratio(plain, moved) == pytest.approx(ratio, rel=0.03)


def test_the_steps_of_a_flow_cost_what_its_evaluations_cost(run, made):
    report = run("flow", "--songs", made / "songs", "--clips", 1, "--steps", "1,3", "--methods", "euler,heun,dpm++2")
    assert report["objective"] == "rectified" and report["seed"]["gmac_per_s"] == 369
    refused = [row["method"] for row in report["solvers"] if "only for the objective vp" in row.get("refused", "")]
    assert refused == ["dpm++2", "dpm++2"]
    rows = {(row["method"], row["steps"]): row for row in report["solvers"] if "refused" not in row}
    assert [rows[key]["evaluations"] for key in rows] == [1, 3, 2, 6]
    a, b, c = (rows[key]["gmac_per_s"] for key in (("euler", 1), ("heun", 1), ("heun", 3)))
    assert c - a == pytest.approx(5 * (b - a), rel=0.02), "all else costs the same"
    for row in rows.values():
        assert row["cpu_s_per_s"] > 0
        assert {"nearest", "wer", "voicing_error"} <= set(row["seen"]) and "mel_distance_db" in row["self"]
        assert row["seen"]["wer"]["interval"] is None, "of one clip"


def test_solvers_are_those_that_the_objective_allows(benchmark):
    flow = benchmark("flow")
    assert "ml-sde" in flow.solvers("vp") and "euler" in flow.solvers("vp")
    assert flow.solvers("rectified") == flow.solvers("cfm") == ("euler", "midpoint", "heun")
