"""How clearly words are heard: by the recogniser's own probabilities, at most 30 s at once; each line is sung by the
take in which it is clearest."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from autosing import pretrained
from autosing.audio.io import Audio
from autosing.checkpoint import load_model, save_model
from autosing.codecs import load_codec
from autosing.errors import InputError
from autosing.songs.espeak import SPEECH_RATE_HZ, Espeak
from inference import clarity as module
from inference import reference as listening
from inference.clarity import ENGLISH, OTHERS, Clarity, at_once, mean_of
from inference.lyrics_plan import AskedLine
from inference.mix import Mix
from inference.output import check_out, write
from inference.request import SingConfig, SingRequest
from inference.result import Candidate, Sung
from inference.singing import sing
from inference.takes import choose, parts_of
from support.singing import make_runs, make_song, voice_by_level

TOLD, OTHER = "the children sing beside the river", "seven old machines were never broken"


def lines(*spans: tuple[float, float]) -> list[AskedLine]:
    return [AskedLine(f"line {number}", start_s, end_s) for number, (start_s, end_s) in enumerate(spans)]


def small_whisper(classes: int = 51_864) -> torch.nn.Module:
    import whisper

    dims = whisper.model.ModelDimensions(80, 1500, 64, 1, 1, classes, 448, 64, 1, 1)
    return whisper.model.Whisper(dims).eval().requires_grad_(False)


def test_a_recogniser_that_knows_nothing_gives_each_token_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, name, classes, language in (
        ("sing to me", ENGLISH, 51_864, "en"),
        ("노래해 줘", OTHERS, 51_865, "ko"),
        ("grüß mich", OTHERS, 51_865, "en"),
    ):
        torch.manual_seed(0)
        nothing, asked = small_whisper(classes), []
        for parameter in (nothing.decoder.token_embedding.weight, nothing.decoder.positional_embedding):
            parameter.zero_()
        monkeypatch.setattr(module, "load_whisper", lambda name, device, n=nothing, a=asked: a.append(name) or n)
        line = AskedLine(text, 0.2, 0.9)
        clarity = Clarity.for_lines([line], "cpu")
        assert asked == [name] and clarity.language == language
        voice = Audio(np.random.default_rng(0).normal(0, 0.1, (1, 24_000)).astype(np.float32), 24_000)
        (found_L,) = clarity.log_probabilities(voice, [[line]])
        assert len(found_L) > 1
        np.testing.assert_allclose(found_L, -math.log(classes), atol=1e-4)


def test_lines_are_heard_together_up_to_30_s_and_longer_ones_not_at_all() -> None:
    asked = lines((0, 9), (10, 19), (20, 29), (30, 33), (33, 70), (71, 100.2), (101, 140), (141, 142))
    assert [[line.text for line in some] for some in at_once(asked)] == [
        ["line 0", "line 1", "line 2"], ["line 3"], ["line 5"], ["line 7"],
    ]  # fmt: skip
    assert list(at_once([])) == [] and list(at_once(lines((0, 31)))) == []
    assert mean_of([]) is None and mean_of([np.array([-1.0]), np.array([-3.0, -5.0])]) == -3


@pytest.mark.skipif(not pretrained.where(ENGLISH).is_file(), reason=f"{ENGLISH} is not cached")
def test_said_words_are_clearer_than_others_and_only_where_they_are_said() -> None:
    with Espeak() as engine:
        spoken = [engine.say(text, "en-us", 50, 50, 130).audio_S for text in (TOLD, OTHER)]
    seconds = [len(voice_S) / SPEECH_RATE_HZ for voice_S in spoken]
    voice = Audio(np.concatenate(spoken).astype(np.float32)[None], SPEECH_RATE_HZ)
    first, second = (0.0, seconds[0]), (seconds[0], sum(seconds))

    def clear(*asked: tuple[str, tuple[float, float]]) -> float:
        told = [AskedLine(text, *span) for text, span in asked]
        return float(Clarity.for_lines(told, "cpu").log_probabilities(voice, [told])[0].mean())

    right = clear((TOLD, first), (OTHER, second))
    assert right > -1.5
    assert clear((TOLD, first)) > clear((TOLD, second)) + 1 and clear((OTHER, second)) > clear((OTHER, first)) + 1
    assert right > clear((OTHER, first), (TOLD, second)) + 1
    assert right > clear((TOLD.replace("river", "table"), first), (OTHER, second))


class ByLoudness:
    """The louder, the clearer."""

    @classmethod
    def for_lines(cls, lines: list[AskedLine], device: str) -> "ByLoudness":
        assert {line.text for line in lines} <= {"la la la", "lo lo", "li"} and device == "cpu"
        return cls()

    def log_probabilities(self, voice: Audio, parts: list[Sequence[AskedLine]]) -> list[np.ndarray]:
        return [np.array([level(voice, lines)]) for lines in parts]


def level(voice: Audio, lines: Sequence[AskedLine]) -> float:
    start_s = lines[0].start_s
    return float(np.abs(voice.cut(start_s, lines[-1].end_s - start_s).samples_CS).mean())


@pytest.fixture
def request_to_sing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SingRequest:
    monkeypatch.setattr(listening, "_voice", voice_by_level)
    monkeypatch.setattr("inference.singing.Clarity", ByLoudness)
    runs, song = make_runs(tmp_path), make_song(tmp_path / "song.flac")
    codec = str(runs / "codec")
    return SingRequest(runs / "sm2a", runs / "t2s", str(song), "la la la", singer=song, codec=codec)


def sung(request: SingRequest, **options: object) -> Sung:
    warm = {"temperature": 2.0, "stop_at_eos": False}
    common = {"separation": {"separator": "none"}, "scale": "coarse", "semantic": warm, "acoustic": warm}
    return sing(replace(request, config=SingConfig.build({"length_s": 1.0, **common, **options})))


def test_the_clearest_take_of_one_line_is_kept(request_to_sing: SingRequest) -> None:
    several = (found := sung(request_to_sing, candidates=4)).candidates
    assert [take.clarity for take in several] == [None] * 4
    (best,) = sung(request_to_sing, candidates=4, keep="best").candidates
    loudness = [level(take.mix.vocals, found.resolved.lines) for take in several]
    assert best.clarity == max(loudness) > min(loudness)
    np.testing.assert_array_equal(best.acoustic, several[int(np.argmax(loudness))].acoustic)


def test_each_line_is_sung_by_the_take_in_which_it_is_clearest(request_to_sing: SingRequest) -> None:
    request = replace(request_to_sing, lyrics="la la la\nlo lo\nli")
    several = (found := sung(request, candidates=5, length_s=3.0)).candidates
    asked = found.resolved.lines
    (best,) = sung(request, candidates=5, length_s=3.0, keep="best").candidates
    loudness = [[level(take.mix.vocals, [line]) for line in asked] for take in several]
    chosen = np.argmax(loudness, axis=0)
    assert len(set(chosen.tolist())) > 1, "this seed shows nothing: one take is the loudest in all lines"
    assert best.clarity == pytest.approx(np.max(loudness, axis=0).mean())
    spec = load_codec(str(request.codec)).spec
    assert len(best.acoustic) == len(several[0].acoustic) and len(best.semantic_N) == len(several[0].semantic_N)
    kept, levels = spec.unflatten(best.acoustic), [spec.unflatten(take.acoustic) for take in several]
    for line, take in zip(asked, chosen, strict=True):
        for at, stride in enumerate(spec.strides):
            codes = slice(*(round(s * float(spec.frame_rate_hz) / stride) for s in (line.start_s, line.end_s)))
            np.testing.assert_array_equal(kept[at][codes], levels[take][at][codes])
        semantic = slice(*(round(s * 25) for s in (line.start_s, line.end_s)))
        np.testing.assert_array_equal(best.semantic_N[semantic], several[take].semantic_N[semantic])
    assert best.mix.mix.samples_CS.shape == several[0].mix.mix.samples_CS.shape


def take_of(codes: int) -> Candidate:
    quiet = Audio(np.zeros((1, 24_000), np.float32), 24_000)
    return Candidate(Mix(quiet, quiet, None, None), np.arange(codes), np.zeros(0, np.int32), None)


def test_lines_without_a_pause_stay_together_and_a_take_that_ends_early_sings_nothing_or_all() -> None:
    asked = lines((0.2, 1.0), (1.05, 2.0), (2.4, 3.0), (3.5, 4.0))
    parts = parts_of(asked)
    assert [(len(part.lines), part.start_s) for part in parts] == [(2, 0.0), (1, 2.2), (1, 3.25)]

    class InOrder:
        """The k-th take that is heard is the k-th clearest."""

        def __init__(self) -> None:
            self.heard = 0

        def log_probabilities(self, voice: Audio, asked: list[Sequence[AskedLine]]) -> list[np.ndarray]:
            self.heard += 1
            return [np.full(3, -float(self.heard)) for _ in asked]

    def chosen(*codes: int) -> tuple[int, ...]:
        return choose(InOrder(), [take_of(count) for count in codes], asked).takes

    assert chosen(100, 100) == (0, 0, 0)
    assert chosen(50, 100) == (1, 1, 1)
    assert chosen(50, 80) == (0, 0, 0)
    assert choose(InOrder(), [take_of(9)], []).takes == ()


def test_as_many_takes_as_are_usual_of_the_t2s_are_sung_where_no_number_is_asked_for(
    request_to_sing: SingRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, run = request_to_sing, Path(str(request_to_sing.t2s))
    (one,) = sung(request).candidates
    assert one.clarity is None
    (four,) = sung(request, candidates=4, keep="best").candidates
    model = load_model(run, "t2s")
    usual = {"temperature": 0.7, "guidance_text": 1.0, "candidates": 4}
    save_model(run, "t2s", {**model.config, "usual": usual}, model.state, model.extra)
    (kept,) = (found := sung(request)).candidates
    np.testing.assert_array_equal(kept.acoustic, four.acoustic)
    assert kept.clarity == four.clarity
    assert (found.resolved.request.config.candidates, found.resolved.request.config.keep) == (4, "best")
    assert len(sung(request, candidates=2).candidates) == 2
    for options, files in (({}, 1), ({"keep": "all"}, 1), ({"keep": "best"}, 1), ({"candidates": 2}, 2)):
        found = sung(request, **options)
        put = check_out(tmp_path / "out.wav", SingConfig.build({"watermark": False, **options}))
        assert len(write(found, put)) == files == len(put.takes), options

    def missing(lines: list[AskedLine], device: str) -> None:
        raise InputError("weights whisper-tiny.en: not here")

    monkeypatch.setattr(ByLoudness, "for_lines", missing)
    monkeypatch.setattr("inference.singing.generate_semantic", lambda *_: pytest.fail("sung before the weights"))
    with pytest.raises(InputError, match=r"whisper-tiny\.en"):
        sung(request)
