"""The letter head's training: letters find their places, a resumed run is the same, exported is what was trained."""

import numpy as np
import pytest
import torch
import whisper

from autosing.audio.io import Audio, encode
from autosing.checkpoint import load_model
from autosing.errors import InputError
from autosing.models.bundled import LETTERS, letters_digest, letters_encoder
from autosing.models.letters import NUM_LETTERS, LetterHead, letter_states, load_letters
from autosing.schemas.sample import DatasetIndex, Sample, SampleMeta, SplitRecord
from autosing.schemas.tables import Line, Word
from autosing.storage.shards import ShardFile
from autosing.text.letters import ALPHABET
from processing.stages.align import Align, AlignConfig
from train.launch import train
from train.letters.places import place_letters, window_words
from train.record import read_metrics
from train.tasks.ctc_head import CTCHeadSettings, TrainCTCHead

RATE_HZ, SAMPLES = 50, 320
EMPTY = DatasetIndex(fingerprint="", members=("meta", "audio"))


class SpellingEars(torch.nn.Module):
    """Stands for Whisper: each frame's samples hold the number of its letter, which `spelt_states` hears."""

    def __init__(self) -> None:
        super().__init__()
        self.positional_embedding = torch.zeros(1500, NUM_LETTERS)
        self.conv1 = torch.nn.Conv1d(80, 4, 3)


def spelt_states(encoder, samples_S):
    """One-hot, with noise that is a function of the sound alone."""
    letter_T = np.round(samples_S.reshape(-1, SAMPLES).mean(axis=1) * 100).astype(int).clip(0, 26)
    noise_TD = 0.3 * np.random.default_rng(int(letter_T.sum())).standard_normal((len(letter_T), NUM_LETTERS))
    return torch.from_numpy(3 * np.eye(NUM_LETTERS)[letter_T] + noise_TD).float()


@pytest.fixture
def ears(monkeypatch):
    monkeypatch.setattr("train.tasks.ctc_head.load_encoder", lambda name, device="cpu": SpellingEars())
    monkeypatch.setattr("train.tasks.ctc_head.letter_states", spelt_states)


def sung(rng, num_frames=300, score=1.0):
    """(letter of each frame, words): letters are not evenly long."""
    truth_T, words, at = np.zeros(num_frames, np.int64), [], 10
    while at < num_frames - 60:
        text = "".join(ALPHABET[k] for k in rng.choice(26, 3, replace=False))
        start = at
        for char, length in zip(text, rng.integers(3, 16, size=3), strict=True):
            truth_T[at : at + length] = ALPHABET.index(char) + 1
            at += int(length)
        words.append(Word(text, start / RATE_HZ, at / RATE_HZ, score, 0))
        at += int(rng.integers(0, 12))
    return truth_T, words


def files_of(truth_T, words, fits=True):
    line = Line("", words[0].start_s, words[-1].end_s, 1.0, fits)
    meta = SampleMeta("s", None, "en", None, len(truth_T) / RATE_HZ, [line], words)
    audio = Audio(np.repeat(truth_T / 100, SAMPLES).astype(np.float32)[None], 16_000)
    return meta, {"vocals.flac": encode(audio)}


def write_dataset(out, clips=8, score=1.0, shift_s=0.0):
    """`shift_s`: how far the words' times are wrong, at random."""
    rng, truths = np.random.default_rng(0), []
    splits = {}
    for split, count in (("train", clips), ("valid", 2)):
        shard = ShardFile(out / split / "0.tar")
        for k in range(count):
            truth_T, words = sung(rng, score=score)
            moved = [
                Word(w.text, w.start_s + rng.uniform(-1, 1) * shift_s, w.end_s + rng.uniform(-1, 1) * shift_s, score, 0)
                for w in words
            ]
            meta, files = files_of(truth_T, moved if shift_s else words)
            shard.add(f"{split}-{k}", {"meta.json": meta.to_json(), **files})
            truths.append((split, truth_T, words))
        splits[split] = SplitRecord(shards=(shard.close(f"{split}/0.tar"),), rows=count, seconds=1, songs=1, singers=0)
    index = DatasetIndex(fingerprint="made", members=("meta", "audio"), splits=splits, rows_in=clips + 2)
    (out / "index.json").write_text(index.model_dump_json())
    return truths


SMALL = [
    "task.hidden=32", "task.dropout=0", "batch_size=4", "lr=0.01", "betas=[0.9, 0.999]", "log_every=1",
    "task.even_steps=24", "task.place_every=16", "warmup_steps=5", "valid_every=1000",
]  # fmt: skip


def heard(run, truths):
    """(log-probabilities, log-odds of a start) of the run's head for the train clips."""
    head, _ = load_letters(str(run))
    states = [spelt_states(None, np.repeat(truth_T / 100, SAMPLES)) for split, truth_T, _ in truths if split == "train"]
    with torch.inference_mode():
        return head(torch.stack(states))


def test_letters_find_their_own_places_within_known_words(tmp_path, ears):
    truths = write_dataset(tmp_path / "data")
    train("ctc_head", tmp_path / "data", tmp_path / "run", None, [*SMALL, "steps=56"])
    truth_BT = torch.from_numpy(np.stack([truth_T for split, truth_T, _ in truths if split == "train"]))
    log_p_BTL, start_BT = heard(tmp_path / "run", truths)
    right = (log_p_BTL.argmax(-1) == truth_BT).float().mean()
    line = [Line("", 0, 6, 1.0, True)]
    even = []
    for split, truth_T, words in truths:
        known = window_words(words, line, 300)
        if split == "train":
            even.append((place_letters(300, known.stretch_3R, known.state_5K)[0] == truth_T).mean())
    assert right > 0.95 > np.mean(even)
    starts = [(b, round(w.start_s * RATE_HZ)) for b, (_, _, words) in enumerate(truths[:8]) for w in words]
    assert torch.stack([start_BT[b, t] for b, t in starts]).mean() > start_BT.mean() + 1
    _, log_prior_L = load_letters(str(tmp_path / "run"))
    assert log_prior_L.exp().sum() == pytest.approx(1, abs=1e-3)
    share = (truth_BT == 0).float().mean()
    assert float(log_prior_L[0].exp()) == pytest.approx(float(share), abs=0.1)


def test_words_whose_times_are_a_guess_find_their_places_too(tmp_path, ears):
    """As real speech comes from the aligner: every word up to 0.1 s wrong, its score below 1."""
    truths = write_dataset(tmp_path / "data", score=0.7, shift_s=0.1)
    train("ctc_head", tmp_path / "data", tmp_path / "run", None, [*SMALL, "steps=72"])
    train("ctc_head", tmp_path / "data", tmp_path / "kept", None, [*SMALL, "steps=72", "task.sure_score=0"])
    truth_BT = torch.from_numpy(np.stack([truth_T for split, truth_T, _ in truths if split == "train"]))
    free, kept = ((heard(tmp_path / run, truths)[0].argmax(-1) == truth_BT).float().mean() for run in ("run", "kept"))
    assert free > 0.93
    assert free > kept


def test_a_resumed_run_is_the_same_and_what_is_exported_is_what_was_trained(tmp_path, ears):
    write_dataset(tmp_path / "data", clips=6)
    settings = [*SMALL, "task.dropout=0.2", "task.even_steps=3", "task.place_every=2", "save_every=4", "ema_decay=0.9"]

    def run(name, steps, resume=False, *more):
        train(
            "ctc_head",
            tmp_path / "data",
            tmp_path / name,
            None,
            [*settings, f"steps={steps}", "schedule=const", *more],
            resume,
        )
        return letters_digest(str(tmp_path / name))

    whole = run("whole", 7)
    run("cut", 4)
    assert run("cut", 7, True) == whole, "places, letters' counts and the average are resumed too"
    assert run("heard-anew", 7, False, "task.kept_mb=0") == whole, "whether states were kept changes nothing"
    assert np.isfinite([row["loss"] for row in read_metrics(tmp_path / "whole") if "loss" in row]).all()
    head, log_prior_L = load_letters(str(tmp_path / "whole"))
    checkpoint = torch.load(sorted((tmp_path / "whole" / "checkpoints").glob("*.pt"))[-1], weights_only=True)
    for name, tensor in head.state_dict().items():
        torch.testing.assert_close(tensor, checkpoint["ema"][f"model.{name}"].half().float())
    assert log_prior_L.shape == (NUM_LETTERS,)
    assert letters_encoder(str(tmp_path / "whole")) == "whisper-base"


def test_a_run_may_begin_with_the_bundled_head_and_places_letters_from_the_first_step(ears, monkeypatch):
    wide = SpellingEars()
    wide.positional_embedding = torch.zeros(1500, 512)
    monkeypatch.setattr("train.tasks.ctc_head.load_encoder", lambda name, device="cpu": wide)
    task = TrainCTCHead(CTCHeadSettings(begin_with=LETTERS), EMPTY)
    head, log_prior_L = load_letters()
    for name, tensor in head.state_dict().items():
        assert torch.equal(task.head.state_dict()[name], tensor)
        assert torch.equal(task.placer.head.state_dict()[name], tensor)
    assert bool(task.placer.placing)
    torch.testing.assert_close(task.export().state["log_prior"], log_prior_L, atol=1e-3, rtol=1e-3)
    with pytest.raises(InputError, match=r"has hidden 96, the run 8; give --set task\.hidden=96"):
        TrainCTCHead(CTCHeadSettings(begin_with=LETTERS, hidden=8), EMPTY)
    with pytest.raises(InputError, match=r"has encoder whisper-base, the run whisper-tiny"):
        TrainCTCHead(CTCHeadSettings(begin_with=LETTERS, encoder="whisper-tiny"), EMPTY)


def item_of(task, meta, files, seed=0):
    return task.prepare(Sample("a", meta, files), np.random.default_rng(seed))


def test_some_of_the_accompaniment_is_heard_beside_the_voice_as_when_aligning(ears):
    task = TrainCTCHead(CTCHeadSettings(), EMPTY)
    meta, files = files_of(*sung(np.random.default_rng(0)))
    alone = item_of(task, meta, files)["audio"]
    music_S = 0.2 * np.cos(np.arange(5 * 16_000, dtype=np.float32))
    both = item_of(task, meta, files | {"instrumental.flac": encode(Audio(music_S[None], 16_000))})["audio"]
    np.testing.assert_allclose(both[: len(music_S)] - alone[: len(music_S)], 0.25 * music_S, atol=1e-3)
    assert torch.equal(both[len(music_S) :], alone[len(music_S) :])
    assert task.settings.instrumental_share == AlignConfig().instrumental_share


def test_long_clips_are_heard_in_windows_and_clips_without_words_not_at_all(ears):
    task = TrainCTCHead(CTCHeadSettings(), EMPTY)
    truth_T, words = sung(np.random.default_rng(0), num_frames=3000)
    meta, files = files_of(truth_T, words)
    items = [item_of(task, meta, files, seed) for seed in range(3)]
    assert len({int(item["key"]) for item in items}) == 3
    for item in items:
        assert len(item["audio"]) == 480_000 and len(item["counted"]) == 1500
        spelt_T = np.round(item["audio"].numpy().reshape(-1, SAMPLES).mean(1) * 100).astype(int)
        first, end, _ = item["stretches"].T.tolist()[3]
        assert sorted(set(spelt_T[first:end])) == sorted(set(item["order"][0, 9:12].tolist()))
    assert item_of(task, *files_of(truth_T, words, fits=False)) is None


def test_neighbours_in_a_batch_and_what_lies_behind_a_clip_change_nothing():
    torch.manual_seed(0)
    head = LetterHead(16, 8).eval()
    states_BTD = torch.randn(2, 40, 16)
    together = head(states_BTD, torch.tensor([25, 40]))
    alone = head(states_BTD[:1, :25])
    torch.testing.assert_close(together[0][:1, :25], alone[0])
    torch.testing.assert_close(together[1][:1, :25], alone[1])


def test_states_are_whispers_own_for_audio_padded_to_30_s():
    torch.manual_seed(0)
    dims = whisper.model.ModelDimensions(80, 1500, 16, 2, 1, 20, 8, 16, 2, 1)
    encoder = whisper.model.Whisper(dims).eval().encoder
    audio_S = (0.1 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)
    mel_MT = whisper.log_mel_spectrogram(np.pad(audio_S, (0, 480_000 - 32_000)), 80)
    with torch.no_grad():
        torch.testing.assert_close(letter_states(encoder, audio_S), encoder(mel_MT[None])[0])


def test_the_aligner_is_pointed_at_a_run_or_at_the_bundled_head(tmp_path, ears):
    write_dataset(tmp_path / "data", clips=4)
    train("ctc_head", tmp_path / "data", tmp_path / "run", None, [*SMALL, "steps=2"])
    bundled, own = Align(AlignConfig()).weights(), Align(AlignConfig(head=str(tmp_path / "run"))).weights()
    assert bundled["letters"] == letters_digest() != own["letters"] == letters_digest(str(tmp_path / "run"))
    assert bundled["whisper-base"] == own["whisper-base"]
    assert load_model(tmp_path / "run", "letters").state["log_prior"].shape == (NUM_LETTERS,)
    with pytest.raises(InputError, match="run folder of 'autosing train ctc_head'"):
        Align(AlignConfig(head=str(tmp_path / "none"))).weights()


def test_the_bundled_head_is_a_distribution():
    head, _ = load_letters()
    states_BTD = torch.randn(1, 40, 512, generator=torch.Generator().manual_seed(0))
    log_p_BTL, start_BT = head(states_BTD)
    assert log_p_BTL.shape == (1, 40, NUM_LETTERS)
    assert start_BT.shape == (1, 40)
    torch.testing.assert_close(log_p_BTL.exp().sum(-1), torch.ones(1, 40))
