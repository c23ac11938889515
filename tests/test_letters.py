"""The letter head: windows of known words, letters that find their place in them, a head that learns what it hears."""

import numpy as np
import torch

from autosing.models.letters import NUM_LETTERS, load_letters, save_letters
from autosing.text.letters import ALPHABET
from train.letters.fit import FitConfig, fit, place_letters, word_starts
from train.letters.lexicon import draw_line
from train.letters.states import HeardWindow
from train.letters.windows import WINDOW_S, TimedWord, make_window


def _toy(rng, count=8, num_frames=300):
    """Windows whose states are the true letters, one-hot with noise; letters are not evenly long."""
    windows, truths = [], []
    for _ in range(count):
        truth_T, words, at = np.zeros(num_frames, np.int64), [], 10
        while at < num_frames - 60:
            text = "".join(ALPHABET[k] for k in rng.choice(26, 3, replace=False))
            start = at
            for char, length in zip(text, rng.integers(3, 16, size=3), strict=True):
                truth_T[at : at + length] = ALPHABET.index(char) + 1
                at += int(length)
            words.append(TimedWord(text, start / 50, at / 50))
            at += int(rng.integers(0, 12))
        states_TD = 3 * np.eye(NUM_LETTERS)[truth_T] + 0.3 * rng.standard_normal((num_frames, NUM_LETTERS))
        windows.append(HeardWindow(states_TD.astype(np.float16), words))
        truths.append(truth_T)
    return windows, truths


def test_letters_find_their_own_places_within_known_words():
    windows, truths = _toy(np.random.default_rng(0))
    config = FitConfig(rounds=[12, 8, 8], hidden=32, dropout=0.0, learning_rate=1e-2)
    head, log_prior_L = fit(windows, config)
    with torch.inference_mode():
        log_p_BTL, start_BT = head(torch.from_numpy(np.stack([w.states_TD for w in windows]).astype(np.float32)))
    right = float((log_p_BTL.argmax(-1).numpy() == np.stack(truths)).mean())
    even = float(np.mean([(place_letters(w, None) == t).mean() for w, t in zip(windows, truths, strict=True)]))
    assert right > 0.95 > even
    assert start_BT[torch.from_numpy(np.stack([word_starts(w) for w in windows])) == 1].mean() > start_BT.mean() + 1
    assert abs(np.exp(log_prior_L).sum() - 1) < 1e-3


def test_every_letter_of_a_word_gets_a_frame_while_there_are_enough():
    window = HeardWindow(np.zeros((20, 4), np.float16), [TimedWord("abc", 0.1, 0.2), TimedWord("xyz", 0.3, 0.32)])
    label_T = place_letters(window, np.zeros((20, NUM_LETTERS)))
    assert sorted(set(label_T[5:10])) == [1, 2, 3]
    assert label_T[15] in (24, 25, 26)
    assert set(label_T[:5]) == {0}


def test_a_window_is_a_function_of_its_seed_and_knows_its_words(monkeypatch):
    monkeypatch.setattr("train.letters.windows._SEPARATED", 0.0)
    window, again = make_window(0, 2), make_window(0, 2)
    assert np.array_equal(window.audio_S, again.audio_S)
    assert window.words == again.words
    assert len(window.audio_S) == WINDOW_S * 16000
    assert all(0 <= word.start_s < word.end_s <= WINDOW_S for word in window.words)
    assert draw_line("latin", np.random.default_rng(0)) == draw_line("latin", np.random.default_rng(0))


def test_the_bundled_head_is_a_distribution_and_survives_a_round_trip(tmp_path):
    head, log_prior_L = load_letters()
    states_BTD = torch.randn(1, 40, 512, generator=torch.Generator().manual_seed(0))
    log_p_BTL, start_BT = head(states_BTD)
    assert log_p_BTL.shape == (1, 40, NUM_LETTERS)
    assert start_BT.shape == (1, 40)
    torch.testing.assert_close(log_p_BTL.exp().sum(-1), torch.ones(1, 40))
    save_letters(tmp_path, head, log_prior_L, {})
    assert (tmp_path / "model.safetensors").stat().st_size < 1 << 20
