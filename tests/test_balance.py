"""The spectral balance of a made singer: what it does to a sound, and how far apart singers lie."""

import numpy as np
import pytest

from autosing.songs.balance import MOST_DB, balance_db, balanced, draw_balance, voiced_by
from autosing.songs.settings import NATURAL_SINGERS

RATE = 24_000


@pytest.mark.parametrize("hz", [60, 150, 440, 1000, 3000, 8000, 11000])
def test_a_sine_is_raised_by_what_the_curve_says_and_stays_in_phase(hz):
    db_W = (5.0, -3.0, 6.0, 2.0)
    sine_S = 0.1 * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)
    made_S = balanced(sine_S, RATE, db_W)
    gain = 10 ** (balance_db(np.array([float(hz)]), db_W)[0] / 20)
    assert len(made_S) == len(sine_S)
    np.testing.assert_allclose(made_S[6000:-6000], gain * sine_S[6000:-6000], atol=0.003)


def test_a_flat_balance_changes_nothing_and_the_curve_is_flat_beyond_its_ends():
    noise_S = np.random.default_rng(0).standard_normal(5000)
    np.testing.assert_allclose(balanced(noise_S, RATE, (0.0, 0.0, 0.0, 0.0)), noise_S, atol=1e-9)
    low, lowest, highest, high = balance_db(np.array([0.0, 80.0, 9000.0, 12000.0]), (1.0, 2.0, 3.0, 4.0))
    assert low == pytest.approx(lowest) == pytest.approx(10) and high == pytest.approx(highest) == pytest.approx(2)


def test_a_click_stays_where_it_is_within_a_few_milliseconds():
    click_S = np.zeros(4800)
    click_S[2400] = 1
    made_S = balanced(click_S, RATE, draw_balance(3))
    assert np.abs(made_S).argmax() == 2400
    assert np.square(made_S[2400 - 120 : 2400 + 121]).sum() > 0.9 * np.square(made_S).sum()


def test_singers_balances_lie_apart_and_are_the_same_each_time():
    octaves_K = 80 * 2 ** np.linspace(0, np.log2(9000 / 80), 60)
    curves = [balance_db(octaves_K, draw_balance(number)) for number in range(NATURAL_SINGERS)]
    assert all(max(map(abs, draw_balance(number))) <= MOST_DB for number in range(NATURAL_SINGERS))
    assert draw_balance(7) == draw_balance(7)
    apart = [np.sqrt(np.square(a - b).mean()) for i, a in enumerate(curves) for b in curves[:i]]
    assert min(apart) > 1.0 and np.median(apart) > 5


def test_reading_at_another_rate_comes_first_so_that_the_balance_is_not_moved():
    sine_S = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    made_S = voiced_by(sine_S, 30_000, RATE, (0.0, 6.0, 0.0, 0.0))
    assert len(made_S) == pytest.approx(RATE * RATE / 30_000, abs=2)
    gain = 10 ** (balance_db(np.array([1250.0]), (0.0, 6.0, 0.0, 0.0))[0] / 20)
    assert np.abs(made_S[4000:-4000]).max() == pytest.approx(0.1 * gain, rel=0.01)
