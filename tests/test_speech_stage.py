"""Speech of clips: where its words are known or found, what is taken where there is none, and what is rejected."""

import numpy as np
import pytest

from autosing.alignment.phones import WordSpan
from autosing.audio.io import Audio, encode
from autosing.audio.pitch import load_tracker
from autosing.models.content import SAMPLE_RATE_HZ
from autosing.schemas.features import Speech
from autosing.schemas.tables import Song
from autosing.score.score import Score
from autosing.songs import load_truth, make_songs
from autosing.speech.listener import HeardWords, Listener, filled
from autosing.speech.monotone import monotone
from autosing.speech.time_map import spoken_at
from autosing.stage import Rejected
from autosing.storage import tables
from processing.stages.speech import ClipAndSpeech, HearSpeech, SpeechConfig
from support.scores import made_score, star_score
from train.corpora.dry import write_dry

WIDTH = 8


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    make_songs(out, 2, seed=5, languages=["en"], singers=2, partitions=1, workers=1, lines=1)
    return out


@pytest.fixture
def stage(monkeypatch):
    made = HearSpeech(SpeechConfig())
    monkeypatch.setattr("processing.stages.speech.load_content", lambda *_: _content)
    made.setup()
    return made


def _content(audio: Audio) -> np.ndarray:
    return np.ones((-(-audio.samples_CS.shape[1] // 320), WIDTH), np.float16)


def voice(seconds: float) -> bytes:
    time_S = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    wave_S = sum(np.sin(2 * np.pi * 150 * k * time_S) / k for k in range(1, 9)) * 0.1
    return encode(Audio(wave_S[None].astype(np.float32), SAMPLE_RATE_HZ))


def test_each_line_becomes_a_song_with_its_score_its_speech_and_when_its_words_are_spoken(songs, tmp_path):
    assert write_dry(songs, tmp_path / "corpus", lines=True) == 2
    rows = list(tables.read_rows(tables.table_path(tmp_path / "corpus", 0, "index"), Song))
    assert {row.id for row in rows} <= {"song0000_0", "song0000_1", "song0001_0", "song0001_1"} and rows
    for row in rows:
        truth = load_truth(songs, row.id.split("_")[0])
        line = truth.lines[int(row.id.split("_")[1])]
        score = Score.from_json(row.score)
        assert " ".join(word.text for word in score.words) == line.text == row.raw_lyrics and score.timed
        assert len(row.speech_times_s) == 2 * len(score.words) and (np.diff(row.speech_times_s) >= -1e-6).all()
        assert row.speech_times_s[0] == pytest.approx(0.12, abs=0.01) or row.speech_times_s[0] < 0.12


def test_words_whose_times_are_known_are_spoken_then(stage):
    score = made_score(2.0, 60)
    times = np.array([t for k in range(4) for t in (0.1 + 0.2 * k, 0.3 + 0.2 * k)], np.float32)
    found = stage.apply(ClipAndSpeech("a-0", voice(2.0), score.to_json().decode(), voice(1.0), times))
    assert isinstance(found, Speech) and found.source == "spoken" and found.speech.shape == (50, WIDTH)
    knots = found.knots_s.reshape(2, -1)
    assert (np.diff(knots) >= 0).all()
    words = [score.phones[2 * k].start_s for k in range(4)]
    assert spoken_at(knots, np.array(words) + 1e-4) == pytest.approx([0.1, 0.3, 0.5, 0.7], abs=0.1)


def test_singing_stands_for_speech_that_is_not_there(stage):
    found = stage.apply(ClipAndSpeech("a-0", voice(2.0), made_score(2.0, 60).to_json().decode()))
    assert isinstance(found, Speech) and found.source == "sung" and found.speech.shape == (100, WIDTH)
    knots = found.knots_s.reshape(2, -1)
    assert np.array_equal(*knots)


def test_speech_of_other_words_and_scores_without_times_are_rejected(stage, monkeypatch):
    monkeypatch.setattr(Listener, "place", lambda self, score, audio_S: HeardWords(score, (0.0, 0.0, 0.9, 0.9)))
    row = ClipAndSpeech("a-0", voice(2.0), made_score(2.0, 60).to_json().decode(), voice(1.0))
    found = stage.apply(row)
    assert isinstance(found, Rejected) and found.reason == "other_words" and "50%" in found.measurement
    untimed = stage.apply(ClipAndSpeech("a-0", voice(2.0), star_score().to_json().decode(), voice(1.0)))
    assert isinstance(untimed, Rejected) and untimed.reason == "no_times"


def test_words_that_were_not_found_share_what_lies_between():
    spans = filled([None, WordSpan(1.0, 2.0), None, None], 4.0)
    assert [round(s.start_s, 3) for s in spans] == [0.0, 1.0, 2.0, 3.0]
    assert spans[-1].end_s == pytest.approx(4.0) and spans[0].end_s == pytest.approx(1.0)


def test_monotone_speech_keeps_its_length_and_loses_its_melody():
    pytest.importorskip("pyworld")
    rate, seconds = SAMPLE_RATE_HZ, 22.0
    time_S = np.arange(round(seconds * rate)) / rate
    f0_S = 150 * 2 ** (np.sin(2 * np.pi * 0.5 * time_S) / 3)
    phase_S = 2 * np.pi * np.cumsum(f0_S) / rate
    speech_S = sum(np.sin(k * phase_S) / k for k in range(1, 10)).astype(np.float32) * 0.1
    track = load_tracker()
    flat_S = monotone(speech_S, track)
    assert len(flat_S) == len(speech_S)
    before, after = (f0[f0 > 0] for f0 in (track(speech_S, rate), track(flat_S, rate)))
    spread = [np.std(12 * np.log2(f0)) for f0 in (before, after)]
    assert spread[0] > 2 and spread[1] < 0.3
    silent_S = np.zeros(8000, np.float32)
    assert np.array_equal(monotone(silent_S, track), silent_S)
