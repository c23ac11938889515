"""Songs of natural voices: what is written down as true is what was asked, and nearly what sounds."""

import dataclasses
import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from autosing import pretrained
from autosing.audio.io import decode, resample
from autosing.errors import InputError
from autosing.songs import load_truth, make_songs
from autosing.songs.grammar import conjugated, english_sentence, lexicon, plural
from autosing.songs.kokoro import Prosody
from autosing.songs.natural import SpokenLine, sung_units
from autosing.songs.phones import EnglishPhones, PhoneString
from autosing.songs.settings import NATURAL_WEIGHTS, SongsConfig, voices_of
from autosing.songs.tune import GRID, calm_melody, draw_manner, speech_rhythm

needs_weights = pytest.mark.skipif(
    not all(pretrained.where(name).is_file() for name in NATURAL_WEIGHTS), reason="the natural voices are not cached"
)


def digests(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("natural")
    make_songs(out, 1, 5, languages=["en"], singers=1, partitions=1, lines=1, workers=1, voices="natural")
    return out


def line_of(units: list[int]) -> SpokenLine:
    """`fˈæt kˈɪt.` spoken in so many units a letter, pads included."""
    letters = PhoneString("fˈæt kˈɪt.", [0, 0, 0, 0, None, 1, 1, 1, 1, None])
    return SpokenLine(letters, np.zeros(256), Prosody(np.array(units), np.zeros(0), np.zeros(0)), [], [3, 8], [])


def test_notes_start_where_they_are_asked_and_no_letter_is_lost():
    spoken = [9, 3, 1, 4, 2, 1, 3, 1, 4, 3, 5, 2]
    for apart in range(6, 60):
        for held in range(3, 60, 7):
            units_P = sung_units(line_of(spoken), np.array([0, apart]), apart + held)
            edges = np.concatenate([[0], np.cumsum(units_P)])
            assert edges[8] - edges[3] == apart and edges[10] - edges[8] == held
            assert (
                units_P.min() >= 1
                and units_P[7] == 1
                and list(units_P[:3]) == [9, 3, 1]
                and list(units_P[-2:]) == [5, 2]
            )
    even = sung_units(line_of(spoken), np.array([0, 24]), 44)[3:8]
    assert even[1] <= 2 * 1.8 + 1 and even[0] > 2 * 4  # consonants stretch a little, the vowel holds the rest


def test_syllables_are_never_closer_than_in_speech_and_stress_seeks_the_beat():
    rng = np.random.default_rng(0)
    on_beat = {True: [], False: []}
    for _ in range(200):
        spoken_N = np.cumsum(rng.uniform(0.6, 3, 9))
        stressed_N = list(rng.random(9) < 0.4)
        onset_N, bars = speech_rhythm(spoken_N, 1.6, stressed_N)
        assert np.all(np.diff(onset_N) * GRID >= np.diff(spoken_N) - 1e-6) and onset_N[-1] < bars * 4 - 1
        for onset, stressed in zip(onset_N, stressed_N, strict=True):
            on_beat[bool(stressed)].append(onset % 1 == 0)
    assert np.mean(on_beat[True]) > 2 * np.mean(on_beat[False])


def test_tunes_mostly_step_and_stay_near_home():
    rng = np.random.default_rng(0)
    steps, notes = [], []
    for _ in range(200):
        melody = calm_melody(np.arange(10) / 2, [False, True] * 5, ["I", "V"], 0, 60, 55, 69, draw_manner(rng), rng)
        steps += [abs(b - a) for a, b in pairwise(melody)]
        notes += melody
    assert np.mean(np.array(steps) <= 4) > 0.85 and max(steps) > 5
    assert min(notes) >= 55 and max(notes) <= 69 and np.mean(np.abs(np.array(notes) - 60) <= 5) > 0.85


def test_sentences_are_many_and_words_are_inflected():
    rng = np.random.default_rng(0)
    lines = [english_sentence(rng) for _ in range(2000)]
    assert len(set(lines)) > 1990 and len({word for line in lines for word in line.split()}) > 2000
    assert all(4 <= len(line.split()) <= 12 and not set("{}/,") & set(line) for line in lines)
    assert [plural(n) for n in ("city", "boy", "box", "child/children")] == ["cities", "boys", "boxes", "children"]
    assert conjugated("stop") == ("stop", "stops", "stopped", "stopped", "stopping")
    assert conjugated("carry") == ("carry", "carries", "carried", "carried", "carrying")
    assert conjugated("write/wrote/written")[1:] == ("writes", "wrote", "written", "writing")
    assert conjugated("lie")[3:] == ("lied", "lying") and conjugated("visit")[2] == "visited"
    assert all(entry.count("/") in (0, 2) for bank in ("do", "go") for entry in lexicon("en")[bank])


def test_phones_know_their_words():
    from autosing.songs.espeak import Espeak

    with Espeak() as engine:
        phones = EnglishPhones(engine, frozenset("ˈOdbɑTᵊl"))
        line = phones.line(["the", "old", "bottle", "has", "it"])
    assert line.letters.startswith("ði ") and line.letters.endswith(".")
    assert [line.letters[i] for i, word in enumerate(line.word_of) if word == 3] == list("hæz")
    assert len(line.letters) == len(line.word_of)


def test_without_the_weights_the_synthetic_voices_sing_and_it_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))
    nowhere = pretrained.Download((tmp_path / "nowhere").as_uri())
    weight = pretrained.REGISTRY["kokoro"]
    source = pretrained.Source((dataclasses.replace(weight.sources[0].files[0], parts=(nowhere,)),), None)
    monkeypatch.setitem(pretrained.REGISTRY, "kokoro", dataclasses.replace(weight, sources=(source,)))
    asked = {"languages": ["en"], "singers": 1, "lines": 1, "workers": 1}
    make_songs(tmp_path / "natural", 1, 5, voices="natural", **asked)
    assert "without these weights the synthetic voices sing" in capsys.readouterr().err
    make_songs(tmp_path / "synthetic", 1, 5, **asked)
    assert digests(tmp_path / "natural") == digests(tmp_path / "synthetic")


def test_mixed_voices_take_turns_and_other_languages_are_sung_by_synthetic_ones():
    config = SongsConfig(voices="mixed", languages=("en", "ko"), singers=2)
    assert [config.casting(n).voice for n in range(4)] == ["natural", "synthetic", "synthetic", "synthetic"]
    assert {config.casting(n).language for n in range(8) if config.casting(n).voice == "natural"} == {"en"}
    with pytest.raises(InputError, match=r"singers 49.*1 to 48"):
        make_songs(Path("never"), 1, singers=49, voices="natural")
    with pytest.raises(InputError, match=r"voices 'loud'.*synthetic, natural, mixed"):
        voices_of("loud")


@needs_weights
def test_a_vowel_starts_with_its_note_on_the_grid_of_the_beat(corpus):
    truth = load_truth(corpus, "song0000")
    place_s = 60 / truth.bpm / GRID
    assert truth.voice == "natural" and len(truth.notes) == len(truth.syllables) > 8
    for note in truth.notes:
        assert truth.phones[truth.syllables[note.syllable].nucleus].start_s == note.start_s
        assert abs(note.start_s / place_s - round(note.start_s / place_s)) < 0.01
    for items in (truth.phones, truth.syllables, truth.words, truth.lines, truth.notes):
        assert all(item.start_s < item.end_s for item in items)
        assert all(a.end_s <= b.start_s + 1e-4 for a, b in pairwise(items))
    assert all(end <= min(abs(line.start_s) for line in truth.lines if line.start_s >= start)
               for start, end in truth.breaths)  # fmt: skip


@needs_weights
def test_the_f0_asked_is_what_an_independent_tracker_hears(corpus):
    from swift_f0 import SwiftF0

    truth = load_truth(corpus, "song0000")
    voice = decode(corpus / "truth" / "song0000" / "vocals_dry.flac")
    heard = SwiftF0(threads=1).detect(resample(voice.mono_S(), 44100, 16000), 16000)
    frame = np.minimum(np.round(np.asarray(heard.timestamps) * 200).astype(int), len(truth.f0_hz) - 1)
    asked_hz, heard_hz = truth.f0_hz[frame], np.asarray(heard.pitch_hz)
    both = (asked_hz > 0) & (np.asarray(heard.confidence) > 0.5)
    cents = np.abs(1200 * np.log2(heard_hz[both] / asked_hz[both]))
    assert both.sum() > 0.7 * (asked_hz > 0).sum() and (cents < 50).mean() > 0.95 and np.median(cents) < 8
    assert len(truth.tracked_f0_hz) >= len(truth.f0_hz) - 2


@needs_weights
@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_with_any_workers(corpus, tmp_path):
    arguments = {"languages": ["en"], "singers": 1, "lines": 1, "partitions": 1, "voices": "natural"}
    make_songs(tmp_path, 2, 5, workers=2, **arguments)
    again, before = digests(tmp_path / "truth" / "song0000"), digests(corpus / "truth" / "song0000")
    assert again == before and "f0_tracked.npy" in again
