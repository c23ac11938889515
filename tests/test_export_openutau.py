"""A singer for OpenUtau: files, keys and graphs are those its renderer asks for, and sing what torch sings.

Which keys and inputs these are was read in OpenUtau.Core/DiffSinger: DiffSingerConfig, DiffSingerRenderer,
DiffSingerVocoder, DiffSingerPitch, DiffSingerBasePhonemizer.
"""

import json

import numpy as np
import onnxruntime
import pytest
import torch
import yaml

from autosing.errors import InputError
from autosing.models.sung_score import score_item, score_told, stacked
from autosing.models.told import Sampling, Told
from autosing.models.visinger import load_visinger
from autosing.score.score import Note, Phone, Score, Syllable, Word
from inference.export.openutau.phrase import PhraseScore
from inference.export.openutau.signs import signs_of
from inference.export.run import Wanted, export
from support import runs

RATE = 93.75
SIGNS = signs_of(["en"])
TOKENS = {sign.name: token for token, sign in enumerate(SIGNS)}
PHRASE = [
    ("SP", 10), ("en/s", 6), ("en/aa", 40), ("en/t", 5), ("en/iy", 30), ("en/n", 4), ("AP", 12), ("en/s", 5),
    ("en/t", 4), ("en/ow", 60), ("en/r", 6), ("en/z", 8), ("SP", 9),
]  # fmt: skip
PLACES = [(1, "onset", 0), (2, "nucleus", 0), (3, "onset", 1), (4, "nucleus", 1), (5, "coda", 1), (7, "onset", 2),
          (8, "onset", 2), (9, "nucleus", 2), (10, "coda", 2), (11, "coda", 2)]  # fmt: skip
EDGES = np.cumsum([0, *(frames for _, frames in PHRASE)])
TOKEN_BN = torch.tensor([[TOKENS[name] for name, _ in PHRASE]])
FRAMES_BN = torch.tensor([[frames for _, frames in PHRASE]])
ONE_EACH = [(2, 4, 60.0, 0), (4, 6, 64.0, 1), (9, 12, 59.0, 2)]
"""Of each note: the signs where it begins and ends, its pitch, its syllable."""


def phrase_score(notes) -> Score:
    """The phrase as a score; notes as (start, end in seconds, midi, syllable)."""
    times = EDGES / RATE
    return Score(
        duration_s=float(times[-1]), words=tuple(Word(text=f"w{k}", language="en") for k in range(3)),
        syllables=tuple(Syllable(word=k, text=f"w{k}") for k in range(3)),
        phones=tuple(
            Phone(symbol=SIGNS[TOKENS[PHRASE[at][0]]].phone, place=place, syllable=syllable, start_s=times[at],
                  end_s=times[at + 1])
            for at, place, syllable in PLACES
        ),
        notes=tuple(Note(start_s=a, end_s=b, midi=midi, syllable=syllable) for a, b, midi, syllable in notes),
        breaths=({"start_s": times[6], "end_s": times[7]},),
    )  # fmt: skip


def one_note_each() -> Score:
    times = EDGES / RATE
    return phrase_score([(times[a], times[b], midi, syllable) for a, b, midi, syllable in ONE_EACH])


def curve() -> torch.Tensor:
    """f0_hz_BF: each note's pitch, also before and after it."""
    midi_F = np.full(EDGES[-1], ONE_EACH[0][2])
    for start, _, midi, _ in ONE_EACH:
        midi_F[EDGES[start] :] = midi
    return torch.from_numpy(440 * 2 ** ((midi_F - 69) / 12)).float()[None]


def assert_same(found, wanted):
    notes = wanted.note_BKM.shape[2]
    assert found.note_mask_BM[0].tolist() == [True] * notes + [False]
    for name in ("sign_B3N", "sign_BKN", "sign_of_BF", "note_of_BF", "frame_BKF", "midi_BF", "since_BF", "swell_BF"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), atol=2e-5, rtol=1e-5, msg=name)
    torch.testing.assert_close(found.note_BKM[..., :notes], wanted.note_BKM, atol=1e-5, rtol=1e-5)


def told_of(score: Score):
    return score_told(stacked([score_item(score, RATE, int(EDGES[-1]))]))


def test_what_is_found_of_a_score_by_phones_and_pitch_is_what_the_score_says():
    assert_same(PhraseScore(SIGNS, RATE)(TOKEN_BN, FRAMES_BN, curve()), told_of(one_note_each()))


def test_notes_that_are_given_are_those_of_the_score_slurs_and_all():
    times = EDGES / RATE
    middle = times[9] + 32 / RATE
    notes = [(times[2], times[4], 60.0, 0), (times[4], times[6], 64.0, 1), (times[9], middle, 59.0, 2),
             (middle, times[12], 61.0, 2)]  # fmt: skip
    edges = [0, EDGES[2], EDGES[4], EDGES[6], EDGES[9], EDGES[9] + 32, EDGES[12], EDGES[13]]
    given = (
        torch.tensor([60.0, 60.0, 64.0, 64.0, 59.0, 61.0, 61.0]), torch.from_numpy(np.diff(edges)),
        torch.tensor([True, False, False, True, False, False, True]),
    )  # fmt: skip
    assert_same(PhraseScore(SIGNS, RATE)(TOKEN_BN, FRAMES_BN, curve(), given), told_of(phrase_score(notes)))


def test_a_phrase_without_a_vowel_has_no_notes_and_numbers_all_the_same():
    told = PhraseScore(SIGNS, RATE)(TOKEN_BN[:, :2], FRAMES_BN[:, :2], curve()[:, :16])
    assert not told.note_mask_BM.any() and (told.note_of_BF == -1).all() and (told.midi_BF == 60).all()
    assert all(getattr(told, name).isfinite().all() for name in ("sign_BKN", "note_BKM", "frame_BKF", "since_BF"))


@pytest.fixture(scope="module")
def singer(tmp_path_factory):
    """(run, package)."""
    folder = tmp_path_factory.mktemp("openutau")
    run = runs.make_visinger(folder / "run")
    export(run, folder / "singer", "openutau", Wanted(languages=("en", "ko")))
    return run, folder / "singer"


def session(path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run_graph(path, **inputs) -> list:
    """Refuses as OpenUtau does: inputs must be exactly those that the graph has."""
    graph = session(path)
    assert {one.name for one in graph.get_inputs()} == set(inputs)
    return graph.run(None, {name: np.asarray(value) for name, value in inputs.items()})


EXPECTED = {
    "acoustic.onnx": (
        {"tokens": "int64", "durations": "int64", "f0": "float", "steps": "int64", "spk_embed": "float"}, "mel",
    ),
    "dsvocoder/vocoder.onnx": ({"mel": "float", "f0": "float"}, "waveform"),
    "dsdur/linguistic.onnx": ({"tokens": "int64", "word_div": "int64", "word_dur": "int64"}, "encoder_out"),
    "dsdur/dur.onnx": (
        {"encoder_out": "float", "x_masks": "bool", "ph_midi": "int64", "spk_embed": "float"}, "ph_dur_pred",
    ),
    "dspitch/linguistic.onnx": ({"tokens": "int64", "ph_dur": "int64"}, "encoder_out"),
    "dspitch/pitch.onnx": (
        {
            "encoder_out": "float", "ph_dur": "int64", "note_midi": "float", "note_rest": "bool", "note_dur": "int64",
            "pitch": "float", "expr": "float", "retake": "bool", "steps": "int64", "spk_embed": "float",
        },
        "pitch_pred",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_graphs_take_and_give_what_openutau_gives_and_takes(singer, name):
    inputs, output = EXPECTED[name]
    graph = session(singer[1] / name)
    assert {one.name: one.type for one in graph.get_inputs()} == {k: f"tensor({v})" for k, v in inputs.items()}
    assert graph.get_outputs()[0].name == output and graph.get_outputs()[0].type == "tensor(float)"
    if "linguistic" in name:
        assert [(one.name, one.type) for one in graph.get_outputs()][1] == ("x_masks", "tensor(bool)")


def test_configs_have_the_keys_that_are_read_and_agree_with_one_another(singer):
    _, folder = singer
    main, vocoder = (
        yaml.safe_load((folder / name).read_text()) for name in ("dsconfig.yaml", "dsvocoder/vocoder.yaml")
    )
    for key in (
        "sample_rate", "hop_size", "win_size", "fft_size", "num_mel_bins", "mel_fmin", "mel_fmax", "mel_base",
        "mel_scale",
    ):  # fmt: skip
        assert main[key] == vocoder[key], key
    assert main["mel_base"] in ("e", "10") and main["mel_scale"] in ("slaney", "htk")
    assert (main["sample_rate"], main["hop_size"], main["hidden_size"]) == (24_000, 256, 256)
    assert main["vocoder"] and (folder / "dsvocoder" / vocoder["model"]).is_file()
    assert main["use_continuous_acceleration"] is True and main["use_lang_id"] is False
    duration, pitch = (yaml.safe_load((folder / name / "dsconfig.yaml").read_text()) for name in ("dsdur", "dspitch"))
    assert duration["predict_dur"] is True and pitch["predict_dur"] is False
    assert pitch["use_note_rest"] is True and pitch["use_expr"] is True
    for place, config in ((folder, main), (folder / "dsdur", duration), (folder / "dspitch", pitch)):
        for key in ("acoustic", "dur", "linguistic", "pitch", "phonemes"):
            assert key not in config or (place / config[key]).is_file(), (place, key)
        for name in config["speakers"]:
            assert np.fromfile(place / f"{name}.emb", "<f4").shape == (256,)
    character = yaml.safe_load((folder / "character.yaml").read_text())
    assert character["singer_type"] == "diffsinger" and [b["suffix"] for b in character["subbanks"]] == ["a", "b"]
    assert character["default_phonemizer"] == "OpenUtau.Core.DiffSinger.DiffSingerEnglishPhonemizer"
    assert (folder / "character.txt").read_text() == "name=run\n"


def test_every_phone_has_a_token_and_a_kind_and_english_words_find_theirs(singer):
    _, folder = singer
    tokens = json.loads((folder / "phonemes.json").read_text())
    assert tokens["SP"] == 0 and sorted(tokens.values()) == list(range(len(tokens))) and "ko/tɕ" in tokens
    for place in ("dsdur", "dspitch"):
        assert json.loads((folder / place / "phonemes.json").read_text()) == tokens
        kinds = {
            one["symbol"]: one["type"]
            for one in yaml.safe_load((folder / place / "dsdict.yaml").read_text())["symbols"]
        }
        assert kinds.keys() == tokens.keys() and kinds["en/ae"] == "vowel" and kinds["en/w"] == "stop"
        english = yaml.safe_load((folder / place / "dsdict-en.yaml").read_text())
        moved = {one["from"]: one["to"] for one in english["replacements"]}
        assert {"aa", "hh", "zh"} <= moved.keys() and set(moved.values()) <= tokens.keys()


def test_acoustic_and_vocoder_sing_what_torch_sings_of_that_score(singer):
    run, folder = singer
    voice = load_visinger(run)
    singer_E = np.fromfile(folder / "b.emb", "<f4")
    frames = int(EDGES[-1])
    (mel,) = run_graph(
        folder / "acoustic.onnx", tokens=TOKEN_BN, durations=FRAMES_BN, f0=curve(), steps=np.array([20]),
        spk_embed=np.tile(singer_E, (1, frames, 1)),
    )  # fmt: skip
    assert mel.shape == (1, frames, voice.spec.width + 1)
    (waveform,) = run_graph(folder / "dsvocoder" / "vocoder.onnx", mel=mel, f0=curve())
    told, singer_BE = told_of(one_note_each()), torch.from_numpy(singer_E)[None]
    with torch.no_grad():
        content_BCF = voice.model.score(told)
        melody = voice.model.melody(content_BCF, told, singer_BE)
        one = Told(content_BCF, curve(), melody.voiced_BF, melody.loudness_db_BF, singer_BE)
        wanted_BS = voice.sound(voice.sing(one, Sampling()), torch.where(melody.voiced_BF, curve(), 0.0))
    assert waveform.shape == (1, frames * 256) and wanted_BS.abs().max() > 1e-3
    assert abs(waveform - wanted_BS.numpy()).max() <= 1e-4 * max(1.0, float(wanted_BS.abs().max()))


def test_consonants_last_as_they_are_learnt_and_each_group_as_long_as_its_note(singer):
    run, folder = singer
    voice = load_visinger(run)
    tokens = torch.tensor([[TOKENS[name] for name in ("SP", "en/s", "en/aa", "en/n", "en/t", "en/iy", "en/n")]])
    word_div, word_dur = np.array([[2, 3, 2]]), np.array([[47, 60, 3]])
    encoded, masks = run_graph(
        folder / "dsdur" / "linguistic.onnx", tokens=tokens, word_div=word_div, word_dur=word_dur
    )
    assert masks.dtype == bool and not masks.any()
    singer_E = np.fromfile(folder / "dsdur" / "a.emb", "<f4")
    (frames,) = run_graph(
        folder / "dsdur" / "dur.onnx", encoder_out=encoded, x_masks=masks, ph_midi=np.full((1, 7), 60),
        spk_embed=np.tile(singer_E, (1, 7, 1)),
    )  # fmt: skip
    groups = np.split(frames[0], [2, 5])
    assert [group.sum() for group in groups] == pytest.approx([47, 60, 3], abs=1e-3)
    score = Score(
        duration_s=2.0, words=(Word(text="a", language="en"), Word(text="b", language="en")),
        syllables=(Syllable(word=0, text="a"), Syllable(word=1, text="b")),
        phones=tuple(
            Phone(symbol=symbol, place=place, syllable=k)
            for symbol, place, k in (("s", "onset", 0), ("ɑ", "nucleus", 0), ("n", "coda", 0), ("t", "onset", 1),
                                     ("i", "nucleus", 1), ("n", "coda", 1))
        ),
        notes=(
            Note(start_s=0.5, end_s=0.5 + 60 / RATE, midi=60, syllable=0),
            Note(start_s=0.5 + 60 / RATE, end_s=0.5 + 63 / RATE, midi=60, syllable=1),
        ),
    )  # fmt: skip
    timed = voice.model.timed(score, torch.from_numpy(singer_E))
    learnt = [(phone.end_s - phone.start_s) * RATE for phone in timed.phones]
    assert frames[0, 1] == pytest.approx(learnt[0], abs=0.01)
    assert frames[0, 6] <= 1.501, "at most half of a note that is as short as this"


def test_pitch_is_that_of_the_model_as_far_as_it_is_asked_for(singer):
    run, folder = singer
    voice = load_visinger(run)
    frames = int(EDGES[-1])
    (encoded, _) = run_graph(folder / "dspitch" / "linguistic.onnx", tokens=TOKEN_BN, ph_dur=FRAMES_BN)
    singer_E = np.fromfile(folder / "a.emb", "<f4")
    edges = [0, EDGES[2], EDGES[4], EDGES[6], EDGES[9], EDGES[12], EDGES[13]]

    def drawn(expr: float, retake: bool) -> np.ndarray:
        (pitch,) = run_graph(
            folder / "dspitch" / "pitch.onnx", encoder_out=encoded, ph_dur=FRAMES_BN,
            note_midi=np.array([[60, 60, 64, 64, 59, 59]], np.float32), note_dur=np.diff(edges)[None],
            note_rest=np.array([[True, False, False, True, False, True]]), pitch=np.full((1, frames), 55, np.float32),
            expr=np.full((1, frames), expr, np.float32), retake=np.full((1, frames), retake), steps=np.array([20]),
            spk_embed=np.tile(singer_E, (1, frames, 1)),
        )  # fmt: skip
        return pitch

    _, _, melody = voice.read(one_note_each(), torch.from_numpy(singer_E))
    wanted_BF = 69 + 12 * (melody.f0_hz_BF / 440).log2()
    np.testing.assert_allclose(drawn(1.0, True), wanted_BF[:, :frames].numpy(), atol=1e-3)
    np.testing.assert_allclose(drawn(0.0, True), told_of(one_note_each()).midi_BF.numpy(), atol=1e-4)
    assert (drawn(1.0, False) == 55).all()


def test_what_openutau_cannot_sing_is_refused(tmp_path):
    flow, run = runs.make_flow(tmp_path / "flow"), runs.make_visinger(tmp_path / "run")
    for model, wanted, says in (
        (flow, Wanted(), "OpenUtau sings scores, so --as openutau needs a run of visinger"),
        (run, Wanted(languages=("xx",)), "--language xx: need one of und, en"),
        (run, Wanted(singers=("nobody",)), "--singer nobody: neither"),
    ):
        with pytest.raises(InputError, match=says):
            export(model, tmp_path / "out", "openutau", wanted)
