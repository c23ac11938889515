"""The stage `score`, and its member on the way into shards."""

import json
from dataclasses import replace

import numpy as np
import pytest

from autosing.audio.io import Audio, encode
from autosing.errors import InputError
from autosing.models.bundled import PHONES
from autosing.schemas.features import ClipScore
from autosing.schemas.sample import DatasetIndex, SampleMeta
from autosing.schemas.tables import Word
from autosing.score.made import score_of_truth
from autosing.score.score import Score
from autosing.songs.truth import save_truth
from autosing.stage import Rejected
from autosing.storage.shards import ShardFile, read_shard
from autosing.storage.tables import TableWriter, read_meta, table_path
from dataset_builder.build import build
from dataset_builder.config import BuildConfig
from dataset_builder.verify import verify
from processing.stages.score import ClipToScore, ScoreConfig, WriteScore
from support.datasets import make_dataset
from support.scores import made_score, made_truth
from tests.test_build import make_corpus


@pytest.fixture
def truth(tmp_path):
    """A folder as `autosing songs` makes it, with song0's truth."""
    found = made_truth("en", [("car", ["k", "ɑːɹ"], 1), ("sea", ["s", "iː"], 1), ("go", ["ɡ", "oʊ"], 1)])
    home = tmp_path / "songs" / "truth" / "song0"
    home.mkdir(parents=True)
    save_truth(found, home)
    return found


def stage(folder) -> WriteScore:
    made = WriteScore(ScoreConfig(truth=str(folder)))
    made.setup()
    return made


def test_a_clip_of_a_made_song_has_its_part_of_the_truth(truth, tmp_path):
    made = stage(tmp_path / "songs")
    whole = made.apply(ClipToScore("song0-0", "song0", "en", 0.0, truth.duration_s, [], b""))
    assert isinstance(whole, ClipScore) and whole.source == "made"
    assert Score.from_json(whole.score).phones == score_of_truth(truth).phones
    part = made.apply(ClipToScore("song0-150", "song0", "en", 0.15, 0.35, [], b""))
    assert [word.text for word in Score.from_json(part.score).words] == ["sea"]
    nothing = made.apply(ClipToScore("song0-450", "song0", "en", 0.45, 0.5, [], b""))
    assert isinstance(nothing, Rejected) and nothing.reason == "no_words"


def test_another_truth_is_another_table(truth, tmp_path):
    before = stage(tmp_path / "songs").weights()
    path = tmp_path / "songs" / "truth" / "song0" / "truth.json"
    values = json.loads(path.read_text())
    values["notes"][0]["midi"] += 1
    path.write_text(json.dumps(values))
    assert stage(tmp_path / "songs").weights() != before
    with pytest.raises(InputError, match="give one of `autosing songs`"):
        stage(tmp_path)


def test_scores_go_from_their_table_into_samples_and_are_verified(tmp_path):
    make_corpus(tmp_path / "c", without=())
    for number, songs in enumerate(((0, 1, 2, 3), (4, 5, 6, 7))):
        segment = read_meta(table_path(tmp_path / "c", number, "segment")).fingerprint
        with TableWriter(table_path(tmp_path / "c", number, "score"), ClipScore) as writer:
            for song in songs:
                for k in range(3):
                    writer.add(ClipScore(f"s{song}-{k}", "made", made_score(1.0, 60 + k).to_json().decode()))
            writer.commit("score", 1, 12, {"config": {}, "weights": {}, "inputs": {"segment": segment}})
    build(tmp_path / "c", tmp_path / "d", BuildConfig(members=("score",)))
    assert verify(tmp_path / "d")
    index = DatasetIndex.load(tmp_path / "d")
    assert index.features["score"].members["score"].dtype == "json"
    shard = index.splits["train"].shards[0]
    samples = [sample for _, sample in read_shard(tmp_path / "d" / shard.path, rows=shard.rows)]
    for sample in samples:
        assert sample.has("score") and sample.score() == made_score(1.0, 60 + int(sample.id[-1]))
    assert samples[0].keeping().score() == samples[0].score()
    assert "| score | words, syllables" in (tmp_path / "d" / "card.md").read_text()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (made_score(4.0, 60).to_json(), "score lasts 4.00 s, the clip 2.00 s"),
        (b"[]", "need a score as autosing writes it"),
        (None, "score.json is missing"),
    ],
)
def test_a_damaged_score_breaks_a_promise(tmp_path, data, words):
    index = make_dataset(tmp_path, {"train": 1}, groups=("meta", "score"))
    assert verify(tmp_path)
    shard = ShardFile(tmp_path / "train/000000.tar")
    meta = SampleMeta("train0", "train-singer0", "en", None, 2.0, [], []).to_json()
    shard.add("train0-0", {"meta.json": meta} | ({} if data is None else {"score.json": data}))
    record = shard.close("train/000000.tar")
    split = index.splits["train"].model_copy(update={"shards": (record,)})
    (tmp_path / "index.json").write_text(index.model_copy(update={"splits": {"train": split}}).model_dump_json())
    with pytest.raises(InputError, match=words):
        verify(tmp_path)


def test_a_clip_is_transcribed_from_its_words_and_its_pitch():
    words = [Word("sea", 0.4, 1.0, 1.0, 0), Word("go", 1.0, 1.6, 1.0, 0)]
    f0_hz_T = np.zeros(200, np.float32)
    f0_hz_T[45:100], f0_hz_T[105:160] = 220.0, 440 * 2 ** (-10 / 12)
    row = ClipToScore("a-0", "a", "en", 0.0, 2.0, words, b"", None, f0_hz_T)
    made = WriteScore(ScoreConfig(classes=None))
    assert made.weights() == {}
    made.setup()
    found = made.apply(row)
    assert isinstance(found, ClipScore) and found.source == "transcribed"
    score = Score.from_json(found.score)
    assert [p.symbol for p in score.phones] == ["s", "i", "ɡ", "oʊ"] and score.timed
    assert [n.midi for n in score.notes] == [57, 59] and [n.syllable for n in score.notes] == [0, 1]
    assert score.notes[1].start_s == pytest.approx(1.07, abs=0.08)
    without = made.apply(replace(row, f0_hz=None))
    assert isinstance(without, Rejected) and without.reason == "no_pitch"
    assert made.apply(replace(row, words=[])).reason == "no_words"
    assert WriteScore(ScoreConfig(transcribe=False)).apply(row).reason == "no_score"


def test_a_score_file_of_another_melody_is_rejected():
    row = ClipToScore("a-0", "a", "en", 0.0, 2.0, [], b"", made_score(2.0, 60).to_json().decode())
    made = WriteScore(ScoreConfig(classes=None))
    made.setup()
    assert made.apply(row).source == "file"
    wrong = replace(row, f0_hz=np.full(200, 440 * 2 ** ((66.5 - 69) / 12), np.float32))
    assert made.apply(wrong).reason == "another_melody"


def test_a_folder_without_a_classifier_is_named(tmp_path):
    with pytest.raises(InputError, match=r"name 'autosing-phones' or the folder of 'python -m train\.phone_classes'"):
        WriteScore(ScoreConfig(classes=str(tmp_path))).weights()


def test_the_bundled_classifier_finds_where_a_hiss_becomes_a_vowel():
    """Words are told 60 ms early; s is noise above 4 kHz, the vowel harmonics below 1.2 kHz, from 0.70 s on."""
    rate, at_s = 16_000, 0.70
    time_s_S = np.arange(round(1.6 * rate)) / rate
    hiss_S = np.diff(np.random.default_rng(0).standard_normal(len(time_s_S) + 2), 2) * 0.05
    vowel_S = sum(np.sin(2 * np.pi * 220 * k * time_s_S) / k * (1.0 if k in (1, 2, 4, 5) else 0.2) for k in range(1, 6))
    sung_S = np.where(time_s_S < at_s, hiss_S, 0.3 * vowel_S) * ((time_s_S > at_s - 0.12) & (time_s_S < 1.3))
    voice = encode(Audio(sung_S[None].astype(np.float32), rate))
    f0_hz_T = np.where((np.arange(160) >= 70) & (np.arange(160) < 130), 220.0, 0.0).astype(np.float32)
    row = ClipToScore("a-0", "a", "en", 0.0, 1.6, [Word("saw", 0.52, 1.3, 1.0, 0)], voice, None, f0_hz_T)
    off_s = {}
    for classes in (PHONES, None):
        made = WriteScore(ScoreConfig(classes=classes))
        made.setup()
        found = made.apply(row)
        assert isinstance(found, ClipScore)
        vowel = next(p for p in Score.from_json(found.score).phones if p.place == "nucleus")
        assert vowel.start_s is not None
        off_s[classes] = abs(vowel.start_s - at_s)
    assert off_s[PHONES] <= 0.03 < off_s[None]
