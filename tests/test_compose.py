"""A tune for words: it can be sung, follows the words, and is the same for the same seed."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosing.errors import InputError
from autosing.score.g2p.bind import with_phones
from autosing.score.g2p.words import Spoken, pronounce
from autosing.score.score import Score
from autosing.score.timing import with_times
from autosing.songs.compose import BPM, accompaniment, compose
from autosing.songs.score import CHORDS
from autosing.songs.spoken import speech_of

LINES = ["the river carries every golden name", "tell me why the summer never stays"]
WORDS = [
    "river",
    "golden",
    "the",
    "a",
    "summer",
    "strengths",
    "carries",
    "every",
    "why",
    "oh",
    "banana",
    "extraordinary",
]


def midi(score: Score) -> list[float]:
    return [note.midi for note in score.notes if note.midi is not None]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), min_size=1, max_size=3), st.integers(0, 99))
def test_every_word_is_sung_a_note_a_syllable(lines, seed):
    score = compose([" ".join(line) for line in lines], "en", 220.0, seed).score
    assert [word.text for word in score.words] == [word for line in lines for word in line]
    assert [word.line for word in score.words] == [k for k, line in enumerate(lines) for _ in line]
    wanted = sum(len(s) for line in lines for s in pronounce([Spoken(word, "en") for word in line]))
    assert len(score.notes) == len(score.syllables) == wanted
    assert all(later.start_s >= note.end_s - 1e-9 for note, later in pairwise(score.notes))
    assert all(note.duration_s >= 60 / BPM[1] / 4 - 1e-6 for note in score.notes)
    assert with_times(score).timed, "consonants find room before their beats"


def test_each_word_is_pronounced_once(monkeypatch):
    asked: list[str] = []

    def counted(words):
        asked.extend(word.text for word in words)
        return pronounce(words)

    for module in ("autosing.songs.compose", "autosing.score.g2p.bind"):
        monkeypatch.setattr(f"{module}.pronounce", counted)
    score = compose(LINES, "en", 220.0, 1).score
    assert asked == [word for line in LINES for word in line.split()]
    assert with_phones(score) == score, "as reading the score anew would have it"


def test_it_lies_where_the_singer_is_at_ease():
    for hz, middle in ((110.0, 45), (220.0, 57), (440.0, 69)):
        pitches = midi(compose(LINES * 4, "en", hz, 1).score)
        assert middle - 5 <= min(pitches) and max(pitches) <= middle + 9
        assert abs(sum(pitches) / len(pitches) - middle) < 5


def test_one_seed_one_tune():
    assert compose(LINES, seed=3) == compose(LINES, seed=3)
    assert midi(compose(LINES, seed=3).score) != midi(compose(LINES, seed=4).score)


def test_most_steps_are_small_and_stress_falls_on_the_beat():
    steps, on_beat, stressed = [], 0, 0
    for seed in range(20):
        score = compose(["remember the forgotten river", "a golden summer in the water"], "en", None, seed).score
        pitches = midi(score)
        steps += [abs(b - a) for a, b in pairwise(pitches)]
        for note, syllable in zip(score.notes, range(len(score.syllables)), strict=True):
            (nucleus,) = [p.symbol for p in score.phones_of(syllable) if p.place == "nucleus"]
            if nucleus not in ("ə", "ɚ"):
                stressed += 1
                beat = score.tempo.beats(note.start_s)
                on_beat += abs(beat * 2 - round(beat * 2)) < 1e-6
    assert sum(step <= 2 for step in steps) / len(steps) > 0.6
    assert on_beat / stressed > 0.8, "on an eighth"


@pytest.mark.parametrize("lines", [[], ["..."], ["", " "]])
def test_nothing_to_sing_is_said(lines):
    with pytest.raises(InputError, match="nothing to sing"):
        compose(lines)


def test_other_languages_are_sung_too():
    score = compose(["별이 빛나는 밤", "你好世界"], seed=1).score
    assert len(score.notes) == 2 + 3 + 1 + 4 and len(score.words) >= 4


def test_the_band_plays_the_chords_of_the_bar_at_the_tempo():
    tune = compose(LINES, "en", None, 5)
    rate, faster = 24000, 1.25
    num_samples = round(tune.score.duration_s / faster * rate)
    band = accompaniment(tune, rate, num_samples, faster)
    assert band.samples_CS.shape == (2, num_samples) and 0.3 < abs(band.samples_CS).max() <= 0.6
    bar = round(4 * 60 / tune.score.tempo.tempos[0].bpm / faster * rate)
    assert num_samples == pytest.approx(len(tune.chords) * bar, rel=1e-3)
    for number, chord in enumerate(tune.chords[:4]):
        spectrum_K = np.abs(np.fft.rfft(band.samples_CS.mean(axis=0)[number * bar : (number + 1) * bar]))
        hz_K = np.fft.rfftfreq(bar, 1 / rate)
        pitch_K = np.round(69 + 12 * np.log2(np.maximum(hz_K, 1) / 440)) % 12
        low_K = (hz_K > 60) & (hz_K < 300)
        energy = [float((spectrum_K[low_K & (pitch_K == k)] ** 2).sum()) for k in range(12)]
        tones = {(tune.key + degree) % 12 for degree in CHORDS[chord]}
        assert int(np.argmax(energy)) in tones, (number, chord)
    assert np.array_equal(accompaniment(tune, rate, num_samples, faster).samples_CS, band.samples_CS)


def apart(line: str) -> list[float]:
    """Seconds from each vowel of a line to the next, as it is spoken."""
    words = line.split()
    found = speech_of(words, pronounce([Spoken(word, "en") for word in words]), "en")
    return [float(step) for step in np.diff(found.start_N)]


def test_a_line_is_spoken_from_vowel_to_vowel_as_people_speak():
    assert apart("my shoe") > apart("my two") == apart("my do") > apart("my ooh")
    assert apart("stone is") > apart("toe is"), "consonants behind a vowel count; those before it do not"
    assert apart("stone is") == apart("own is")
    long, short = apart("sailor goes")[1], apart("sailor is")[1]
    assert long > short, "a word leans on the one before it"
    words = ["the", "lantern", "on", "the", "water"]
    spoken = pronounce([Spoken(word, "en") for word in words])
    assert speech_of(words, spoken, "en").stressed_N == [False, True, False, False, False, True, False]
    assert speech_of(words[:1], spoken[:1], "en").start_N.tolist() == [0.0]
