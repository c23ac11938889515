"""Singing: exactly as long as asked, the same for the same seed, and refused before any work where it cannot be.

Models and codec are random and tiny, so what they sing is noise; that the way through is right is shown where they
have learnt something (test_models.py) and by the slow law at the end.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from autosing.audio.io import Audio, decode
from autosing.audio.key import key_of
from autosing.checkpoint import load_model, save_model
from autosing.codecs import load_codec
from autosing.errors import InputError
from autosing.models.singers import KnownSinger, as_extra
from autosing.text.lrc import parse_lrc
from inference import reference as listening
from inference.output import check_out, write
from inference.request import SingConfig, SingRequest, resolve
from inference.result import Sung
from inference.singing import sing
from inference.voice.singers import Voice, keep
from support.singing import CODES, SONG_RATE_HZ, make_runs, make_song, voice_by_level


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_song(tmp_path_factory.mktemp("song") / "song.flac")


@pytest.fixture(autouse=True)
def voices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_voice", voice_by_level)


def written(sung: Sung, out: Path, codes: bool = False) -> list[dict]:
    return write(sung, check_out(out, sung.resolved.request.config, codes))


def without_separation(**options: object) -> SingConfig:
    return SingConfig.build({"separation": {"separator": "none"}, **options})


def asked(runs: Path, song: Path, lyrics: str | None = "la la la", **options: object) -> SingRequest:
    warm = {"temperature": 2.0, "stop_at_eos": False}
    config = without_separation(scale="coarse", semantic=warm, acoustic=warm, **options)
    return SingRequest(
        runs / "sm2a", runs / "t2s", str(song), lyrics, singer=song, codec=str(runs / "codec"), config=config
    )


@pytest.mark.parametrize(
    ("length_s", "options", "samples"),
    [
        (1.0, {}, 24_000),
        (1.23456, {"start_s": 0.777}, 29_629),
        (0.5001, {"sample_rate_hz": 44_100}, 22_054),
        (0.333, {"music": False}, 7_992),
    ],
)
def test_every_file_is_exactly_as_long_as_asked(
    runs: Path, song: Path, tmp_path: Path, length_s: float, options: dict, samples: int
) -> None:
    out = tmp_path / "out.wav"
    written(sing(asked(runs, song, "la la", length_s=length_s, **options)), out)
    channels = 1 if options.get("music") is False else 2
    assert [sf.info(p).frames for p in (out, tmp_path / "out.vocals.wav")] == [samples, samples]
    assert (sf.info(out).channels, sf.info(tmp_path / "out.vocals.wav").channels) == (channels, 1)
    assert sf.info(out).samplerate == options.get("sample_rate_hz", 24_000)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_and_each_candidate_another_song(
    runs: Path, song: Path, tmp_path: Path
) -> None:
    def bytes_of(name: str, **options: object) -> list[bytes]:
        rows = written(sing(asked(runs, song, length_s=1.0, **options)), tmp_path / name)
        return [Path(row["file"]).read_bytes() for row in rows]

    first, again, other = bytes_of("a.wav", seed=3), bytes_of("b.wav", seed=3), bytes_of("c.wav", seed=4)
    assert first == again != other
    several = bytes_of("d.wav", seed=3, candidates=3)
    assert len(set(several)) == 3 and several[0] == first[0]
    assert (tmp_path / "d.2.vocals.wav").is_file() and not (tmp_path / "d.wav").exists()


def test_the_lyrics_that_come_out_are_those_asked_for(runs: Path, song: Path, tmp_path: Path) -> None:
    lrc = "[00:00.20]not this\n[00:01.10]first line\n[00:02.05]<00:02.05>sec <00:02.30>ond\n[00:03.90]nor this"
    sung = sing(asked(runs, song, lrc, start_s=1.0, length_s=2.0))
    written(sung, tmp_path / "out.wav", codes=True)
    lines = [line for line in parse_lrc((tmp_path / "out.lrc").read_text()).lines if line.text]
    assert [line.text for line in lines] == ["first line", "sec ond"]
    assert [line.start_s for line in lines] == pytest.approx([0.1, 1.05])
    facts = json.loads((tmp_path / "out.json").read_text())
    assert facts["lines"][0]["text"] == "first line" and facts["length_s"] == 2.0
    held = np.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(held["semantic"], sung.candidates[0].semantic_N)


def test_the_music_in_the_mix_is_the_references_own(runs: Path, song: Path, tmp_path: Path) -> None:
    sung = sing(asked(runs, song, start_s=1.5, length_s=1.0, sample_rate_hz=SONG_RATE_HZ))
    mix = sung.candidates[0].mix
    window_CS = decode(song).cut(1.5, 1.0).samples_CS
    assert mix.instrumental is not None
    gain = float(np.abs(mix.instrumental.samples_CS).max() / np.abs(window_CS).max())
    np.testing.assert_allclose(mix.instrumental.samples_CS, gain * window_CS, atol=1e-5)


def test_pitches_are_kept_in_the_key_of_the_music(runs: Path, song: Path, tmp_path: Path) -> None:
    """Random models draw any pitch; with a penalty that is large enough they draw none off the scale."""
    sung = sing(asked(runs, song, length_s=2.0, in_key=1e4))
    assert sung.key is not None and sung.key == key_of(decode(song).cut(0, 2.0))
    codec = load_codec(str(runs / "codec"))
    level, hz_V = codec.pitch_codes()

    def off_cents(take: Sung) -> np.ndarray:
        hz_N = hz_V.numpy()[codec.spec.unflatten(take.candidates[0].acoustic)[level]]
        return sung.key.cents_off(hz_N[hz_N > 0])

    free = sing(asked(runs, song, length_s=2.0, in_key=0))
    assert free.key is None and np.mean(off_cents(free) > 50) > 0.1
    assert len(off_cents(sung)) > 20 and (off_cents(sung) <= 30).all()
    written(sung, tmp_path / "out.wav")
    assert json.loads((tmp_path / "out.json").read_text())["key"] == str(sung.key)
    assert sing(asked(runs, song, length_s=1.0, music=False)).key is None


def test_singing_a_capella_ignores_the_music_and_needs_none(runs: Path, song: Path) -> None:
    with_song = sing(asked(runs, song, length_s=1.0, music=False))
    without = asked(runs, song, length_s=1.0, music=False)
    alone = sing(
        SingRequest(without.sm2a, without.t2s, None, "la la la", song, codec=without.codec, config=without.config)
    )
    np.testing.assert_array_equal(with_song.candidates[0].acoustic, alone.candidates[0].acoustic)


def test_the_references_own_voice_gives_the_singer_and_the_balance_and_must_be_there(
    runs: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = 0.7
    monkeypatch.setattr("inference.load.load_separator", lambda config: lambda mix, known: mix)
    monkeypatch.setattr(
        listening, "split", lambda mix, _: (
            Audio(share * mix.samples_CS, mix.sample_rate_hz), Audio((1 - share) * mix.samples_CS, mix.sample_rate_hz)
        ),
    )  # fmt: skip
    request = replace(asked(runs, song, length_s=1.0), singer=None, config=SingConfig(length_s=1.0))
    mix = sing(request).candidates[0].mix
    assert mix.balance_lu == pytest.approx(20 * np.log10(0.7 / 0.3), abs=0.05)
    share = 0.001
    with pytest.raises(InputError, match=r"no voice heard in 0-4 s of it; give --singer"):
        sing(request)


def test_a_singer_is_named_as_the_run_or_an_enrolment_names_it(
    runs: Path, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.voice.singers.home", lambda: tmp_path / "home")
    held, vectors = load_model(runs / "sm2a", "sm2a"), np.eye(2, 256, dtype=np.float32)
    known = as_extra([KnownSinger.of("rosa", vectors[0], 1, 1.0, None)])
    save_model(tmp_path / "sm2a", "sm2a", held.config, held.state, {**held.extra, **known})
    keep("tom", Voice("tom", tuple(vectors[1].tolist()), None))
    base = replace(asked(runs, song, length_s=0.5), sm2a=tmp_path / "sm2a")
    for name, vector_E in (("rosa", vectors[0]), ("tom", vectors[1])):
        resolved = resolve(replace(base, singer=name))
        np.testing.assert_array_equal(listening.listen(resolved, None).singer, vector_E)
    nobody = resolve(replace(base, singer=None))
    np.testing.assert_array_equal(listening.listen(nobody, None).singer, vectors[0])  # where the reference has no voice
    with pytest.raises(InputError, match="no voice for --singer-mix"):
        resolve(replace(base, singer=None, config=base.config.model_copy(update={"singer_mix": 0.5})))
    sung = sing(replace(base, singer="tom"))
    np.testing.assert_array_equal(sung.candidates[0].acoustic, sing(replace(base, singer="tom")).candidates[0].acoustic)


class FakeTokenizer:
    """Hears the codes 0, 1, 2 ... in any sound."""

    def __init__(self) -> None:
        self.heard: list[np.ndarray] = []

    def tokenize(self, audio: Audio) -> np.ndarray:
        self.heard.append(np.arange(-(-audio.samples_CS.shape[1] * 25 // audio.sample_rate_hz), dtype=np.int32) % CODES)
        return self.heard[-1]


@pytest.fixture
def tokenizer(monkeypatch: pytest.MonkeyPatch) -> FakeTokenizer:
    fake = FakeTokenizer()
    monkeypatch.setattr("inference.load.load_semantic", lambda name, device: fake)
    monkeypatch.setattr("inference.load.semantic_digest", lambda name: "1" * 64)
    return fake


def test_the_content_of_a_vocal_is_sung_again_code_for_code(runs: Path, song: Path, tokenizer: FakeTokenizer) -> None:
    request = replace(asked(runs, song, lyrics=None, start_s=1.0, length_s=2.0), t2s=None, semantic_from=song)
    sung = sing(request)
    np.testing.assert_array_equal(sung.candidates[0].semantic_N, tokenizer.heard[0])
    assert len(tokenizer.heard[0]) == 50 and sung.resolved.lines == []


def test_of_given_content_the_best_take_is_the_one_that_is_heard_again(
    runs: Path, song: Path, tokenizer: FakeTokenizer
) -> None:
    plain = sing(asked(runs, song, length_s=1.0, candidates=4)).candidates
    assert tokenizer.heard == [] and {candidate.agreement for candidate in plain} == {None}
    request = asked(runs, song, lyrics=None, length_s=1.0, candidates=4)
    several = sing(replace(request, t2s=None, semantic_from=song)).candidates
    (best,) = sing(replace(request, t2s=None, semantic_from=song, config=SingConfig.build(
        {**request.config.dump(), "keep": "best"}
    ))).candidates  # fmt: skip
    shares = [candidate.agreement for candidate in several]
    assert best.agreement == max(shares)
    np.testing.assert_array_equal(best.acoustic, several[int(np.argmax(shares))].acoustic)


def test_singers_are_interpolated_along_the_arc() -> None:
    a, b = np.eye(256, dtype=np.float32)[:2]
    third = listening.interpolate(a, b, 1 / 3)
    assert np.degrees(np.arccos(third @ a)) == pytest.approx(30, abs=1e-3)
    np.testing.assert_array_equal(listening.interpolate(a, None, 0.5), a)
    np.testing.assert_allclose(listening.interpolate(a, b, 1.0), b, atol=1e-7)


def broken(runs: Path, tmp_path: Path) -> Path:
    """An sm2a run whose codec has another digest."""
    held = load_model(runs / "sm2a")
    codec = {**held.extra["codec"], "digest": "9" * 64}
    save_model(tmp_path / "other", "sm2a", held.config, held.state, {**held.extra, "codec": codec})
    return tmp_path / "other"


def only_coarse(runs: Path, tmp_path: Path) -> Path:
    held = load_model(runs / "sm2a")
    save_model(tmp_path / "coarse", "sm2a", held.config, held.state, {**held.extra, "scales": ["coarse"]})
    return tmp_path / "coarse"


def of_another_version(runs: Path, tmp_path: Path) -> Path:
    held = load_model(runs / "t2s")
    state = {f"old_{name}": value for name, value in held.state.items()}
    save_model(tmp_path / "older", "t2s", held.config, state, held.extra)
    return tmp_path / "older"


def test_what_cannot_be_sung_is_refused_with_its_reason(
    runs: Path, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = asked(runs, song)
    (tmp_path / "text.mp3").write_text("no audio")
    cases: list[tuple[dict, str]] = [
        ({"sm2a": tmp_path / "none"}, "no model.safetensors"),
        ({"sm2a": runs / "t2s"}, "found a t2s model, need sm2a"),
        ({"t2s": runs / "sm2a"}, "found a sm2a model, need t2s"),
        ({"sm2a": broken(runs, tmp_path)}, "different codecs"),
        ({"sm2a": broken(runs, tmp_path), "t2s": None, "semantic_from": song}, "need the one with digest"),
        ({"sm2a": only_coarse(runs, tmp_path), "config": without_separation(scale="fine")}, "give --scale coarse"),
        ({"t2s": of_another_version(runs, tmp_path)}, "not of this version's t2s"),
        ({"t2s": None}, "no t2s model"),
        ({"codec": "nonsense"}, "codec 'nonsense': unknown"),
        ({"reference": None}, "no reference song"),
        ({"reference": str(tmp_path / "none.mp3")}, "no such file"),
        ({"reference": str(tmp_path / "text.mp3")}, "not readable as audio"),
        ({"reference": f"{tmp_path}#song"}, "no <k>/index.parquet"),
        ({"lyrics": None}, "no lyrics"),
        ({"lyrics": "... !"}, "nothing in it can be sung"),
        ({"singer": None}, "no voice to sing with"),
        ({"singer": tmp_path / "none.wav"}, "nor a singer of .*, nor a file"),
        ({"singer": "nobody"}, "--singer nobody: neither an enrolled voice"),
        ({"config": without_separation(start_s=9.0)}, "beyond the end"),
        ({"config": without_separation(start_s=3.0, length_s=1.5)}, "at most 1.0"),
        ({"config": without_separation(length_s=0.2), "lyrics": "la " * 9}, "fewer lines"),
        ({"config": without_separation(start_s=3.0), "lyrics": "[00:01.00]la"}, "none within"),
    ]

    def never(*_: object, **__: object) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr("inference.singing.generate_semantic", never)
    monkeypatch.setattr("inference.singing.generate_acoustic", never)
    for change, words in cases:
        with pytest.raises(InputError, match=words):
            sing(SingRequest(**{**vars(good), **change}))


def test_sing_py_runs_as_a_script_and_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "inference" / "sing.py"
    words = ["--sm2a", "none", "--t2s", "none", "--lyrics", "la", "--out", str(tmp_path / "out.wav")]
    ran = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("autosing: sing: no reference song") and ran.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["out.aac", "out", "."])
def test_an_output_of_no_known_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="--out"):
        check_out(tmp_path / name, SingConfig())
