"""Models that come with autosing: found by name wherever a run may be given, and stored in half precision."""

from pathlib import Path

import numpy as np
import pytest
import torch

from autosing.checkpoint import WEIGHTS, load_model, located, save_model, shipped
from autosing.errors import InputError
from autosing.packing import pack, unpack
from train.ship import ship


def test_a_name_stands_for_the_folder_in_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = located("autosing-letters")
    assert (folder / WEIGHTS).is_file() and located(Path("autosing-letters")) == folder
    assert load_model(Path("autosing-letters"), "letters").kind == "letters"
    for own in ("runs/autosing-letters", "letters", "autosing-nobody"):
        assert located(own) == Path(own)
    with pytest.raises(InputError, match=r"autosing-nobody: no model.safetensors.*autosing-letters.*autosing-semantic"):
        load_model(Path("autosing-nobody"))


def test_what_is_shipped_is_the_model_in_half_precision(tmp_path):
    torch.manual_seed(0)
    state = {"weight": torch.randn(4, 5), "count": torch.tensor(7)}
    save_model(tmp_path / "run", "svc_flow", {"a": 1}, state, {"singers": []})
    assert ship(tmp_path / "run", tmp_path / "out") == 4 * 5 * 2 + 8
    file = load_model(tmp_path / "out", "svc_flow")
    assert (file.config, file.extra) == ({"a": 1}, {"singers": []})
    assert file.state["weight"].dtype == torch.float16 and file.state["count"] == 7
    torch.testing.assert_close(file.state["weight"].float(), state["weight"], rtol=2**-10, atol=0)


def test_in_8_bits_a_weight_is_off_by_half_a_step_of_its_row(tmp_path):
    torch.manual_seed(0)
    state = {
        "conv.weight": torch.randn(64, 16, 5) * torch.logspace(-4, 1, 64)[:, None, None], "zero": torch.zeros(64, 64),
        "small": torch.randn(4, 5), "bias": torch.randn(5000), "count": torch.tensor(7),
    }  # fmt: skip
    save_model(tmp_path / "run", "svc_flow", {}, state)
    assert ship(tmp_path / "run", tmp_path / "out", bits=8) == 64 * 80 + 64 * 64 + 2 * 64 * 4 + 2 * (20 + 5000) + 8
    found = load_model(tmp_path / "out").state
    assert found.keys() == state.keys()
    step_R = state["conv.weight"].flatten(1).abs().amax(1) / 127
    off = (found["conv.weight"] - state["conv.weight"]).abs()
    assert (off.flatten(1) <= 0.5001 * step_R[:, None]).all() and off.max() > 0
    assert not found["zero"].any() and found["bias"].dtype == found["small"].dtype == torch.float16


def test_six_bits_are_packed_without_loss_and_a_weight_is_off_by_half_a_step_of_its_row(tmp_path):
    torch.manual_seed(0)
    for count in (1, 4, 7, 255):
        whole_RN = torch.randint(-32, 32, (5, count)).to(torch.int8)
        packed_RK = pack(whole_RN)
        assert packed_RK.shape == (5, 3 * -(-count // 4)) and torch.equal(unpack(packed_RK, count), whole_RN)
    state = {"conv.weight": torch.randn(64, 16, 5) * torch.logspace(-4, 1, 64)[:, None, None], "bias": torch.randn(50)}
    save_model(tmp_path / "run", "svc_flow", {}, state)
    assert ship(tmp_path / "run", tmp_path / "out", bits=6) == 64 * 60 + 64 * 4 + 3 * 4 + 50 * 2
    found = load_model(tmp_path / "out").state
    assert found.keys() == state.keys() and found["conv.weight"].shape == (64, 16, 5)
    step_R = state["conv.weight"].flatten(1).abs().amax(1) / 31
    off = (found["conv.weight"] - state["conv.weight"]).abs()
    assert (off.flatten(1) <= 0.5001 * step_R[:, None]).all() and off.max() > 0


def test_a_weight_that_half_precision_cannot_hold_is_refused(tmp_path):
    save_model(tmp_path / "run", "svc_flow", {}, {"weight": torch.tensor([1e6])})
    with pytest.raises(InputError, match="weight holds numbers that half precision cannot"):
        ship(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_shipped_model_sings_words_on_the_notes_of_their_tune():
    from autosing.audio.pitch import load_tracker
    from autosing.models.bundled import VISINGER
    from autosing.songs.compose import compose
    from inference.voice.engine import EngineConfig, render
    from inference.voice.load import load_score_voice
    from inference.voice.score_song import song_of
    from inference.voice.singers import voices_of_run

    model, singer = load_score_voice(Path(VISINGER)), voices_of_run(Path(VISINGER))[0]
    assert singer.range is not None
    tune = compose(["the lantern on the water"], "en", singer.range.middle_hz, 1)
    sung = song_of(model, tune.score, singer.vector_E)
    audio_S = np.concatenate(list(render(model, sung.song, EngineConfig())))
    rate = model.spec.sample_rate_hz
    assert len(audio_S) == pytest.approx(tune.score.duration_s * rate, abs=1)
    f0_hz_T = load_tracker("fcpe")(audio_S, rate)
    at_s = np.arange(len(f0_hz_T)) / 100
    near = []
    for note in tune.score.notes:
        inside_T = (at_s > note.start_s + 0.06) & (at_s < note.end_s - 0.06) & (f0_hz_T > 0)
        near += list(np.abs(69 + 12 * np.log2(f0_hz_T[inside_T] / 440) - note.midi) < 0.5)
    assert len(near) > 100 and np.mean(near) > 0.9


def test_the_shipped_conversion_model_sings_the_pitch_that_it_is_told_and_each_singer_sounds_like_none_but_himself():
    from autosing.audio.pitch import load_tracker
    from autosing.metrics.timbre import average_spectrum_db, nearest_by_spectrum
    from autosing.models.bundled import SVC_FLOW
    from autosing.models.svc_flow import load_svc_flow
    from autosing.models.told import Sampling, Told
    from inference.voice.singers import voices_of_run

    voice, frames = load_svc_flow(Path(SVC_FLOW)), 280
    rate, spec = voice.spec.sample_rate_hz, voice.space.spec
    asked_hz_F = 200 * 2 ** (2 * torch.sin(torch.linspace(0, 12, frames)) / 12)

    def sung_S(singer_E, seed):
        content_BCF = torch.randn(1, voice.content[0].width, frames, generator=torch.Generator().manual_seed(seed))
        told = Told(
            content_BCF, asked_hz_F[None], torch.ones(1, frames, dtype=torch.bool), torch.full((1, frames), -25.0),
            torch.tensor(singer_E)[None],
        )  # fmt: skip
        return voice.space.sound(voice.sing(told, Sampling()), told.f0_hz_BF)[0].numpy()

    singers = [
        singer for singer in voices_of_run(Path(SVC_FLOW)) if singer.range and 150 < singer.range.middle_hz < 250
    ]
    known = {singer.name: average_spectrum_db(sung_S(singer.vector_E, 0), rate) for singer in singers[:4]}
    assert len(known) == 4
    for singer in singers[:4]:
        audio_S = sung_S(singer.vector_E, 1)
        found_hz_T = load_tracker("fcpe")(audio_S, rate)
        at_F = (np.arange(frames) + 0.5) / float(spec.rate_hz)
        away_T = 1200 * np.log2(found_hz_T / np.interp(np.arange(len(found_hz_T)) / 100, at_F, asked_hz_F.numpy()))
        assert np.sqrt(np.mean(away_T**2)) < 20, singer.name
        assert nearest_by_spectrum(average_spectrum_db(audio_S, rate), singer.name, known), singer.name


@pytest.mark.parametrize("name", ["svc_vits", "sts"])
def test_what_is_shipped_in_8_bits_is_a_whole_model(name):
    from inference.voice.load import check_voice, load_speech_voice, load_voice

    folder, command = Path(f"autosing-{name}"), "convert" if name == "svc_vits" else "speech-to-singing"
    assert check_voice(folder, command) == name
    assert load_model(folder, name).state and all(
        tensor.dtype != torch.int8 and bool(torch.isfinite(tensor).all())
        for tensor in load_model(folder).state.values()
    )
    assert (load_voice if name == "svc_vits" else load_speech_voice)(folder).content[0].name == "whisper-base"


def test_all_that_is_shipped_is_small():
    """At most 60 MB, so that a clone stays a matter of seconds."""
    assert sum(located(name).joinpath(WEIGHTS).stat().st_size for name in shipped()) < 60e6


def test_the_shipped_pair_sings_new_words_over_a_band_when_asked_and_in_its_key(tmp_path):
    from autosing.audio.io import save
    from autosing.audio.pitch import load_tracker
    from autosing.models.bundled import SM2A, T2S
    from autosing.songs.compose import accompaniment, compose
    from inference.lyrics_plan import read_lyrics
    from inference.render import lrc_of
    from inference.request import SingRequest, config_of
    from inference.singing import sing
    from inference.voice.singers import voices_of_run

    singer = voices_of_run(Path(SM2A))[0]
    tune = compose(["the lantern on the water"], "en", singer.middle_hz, 3)
    lrc, rate = lrc_of(tune.score), 24_000
    words = [word for line in read_lyrics(lrc)[1] for word in line.words]
    length_s = words[-1].end_s + 0.5
    save(accompaniment(tune, rate, round(length_s * rate), seed=3), tmp_path / "band.wav")
    config = config_of({"separator": "none", "length_s": length_s, "candidates": 1})
    sung = sing(SingRequest(Path(SM2A), Path(T2S), str(tmp_path / "band.wav"), lrc, config=config))
    voice = sung.candidates[0].mix.vocals
    assert voice.samples_CS.shape[1] == round(length_s * rate) and sung.key is not None
    f0_hz_T = load_tracker("fcpe")(voice.mono_S(), rate)
    at_s, voiced_T = np.arange(len(f0_hz_T)) / 100, f0_hz_T > 0
    inside_T = (at_s > words[0].start_s) & (at_s < words[-1].end_s)
    assert voiced_T[inside_T].mean() > 0.6 > 0.3 > voiced_T[at_s < words[0].start_s - 0.25].mean()
    assert np.mean(sung.key.cents_off(f0_hz_T[voiced_T]) < 50) > 0.8
