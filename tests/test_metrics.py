"""Scores of converted voices: known answers, closed forms, and other packages' figures."""

import time
from collections.abc import Sequence
from types import SimpleNamespace

import jiwer
import numpy as np
import pytest
import scipy.fft
import scipy.spatial.distance

from autosing.errors import InputError
from autosing.metrics import spectral
from autosing.metrics.interval import bootstrap_interval, ratio_of_sums
from autosing.metrics.pitch import pitch_errors, pitch_scores
from autosing.metrics.recognition import error_rates, hear, recognised, spelled
from autosing.metrics.speaker import cosine, speaker_scores
from autosing.metrics.spectral import log_mel_db, lsd_db, mcd_db, mel_cepstra, mel_distance_db
from autosing.metrics.speed import measure_speed
from autosing.metrics.timbre import average_spectrum_db, nearest_by_spectrum

RATE_HZ = 24_000


def voice(seed: int, seconds: float = 1.0) -> np.ndarray:
    """Harmonics under a moving formant, in noise loud enough that no band lies at the floor."""
    rng = np.random.default_rng(seed)
    t_S = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    phase_S = 2 * np.pi * np.cumsum(180 * 2 ** (np.sin(2 * np.pi * (0.7 + 0.1 * seed) * t_S) / 4)) / RATE_HZ
    tone_S = sum(np.sin(k * phase_S) / (1 + ((k - 4 - seed) / 3) ** 2) for k in range(1, 30))
    return 0.05 * tone_S + 0.02 * rng.standard_normal(len(t_S))


# Spectra


def test_a_gain_moves_mel_and_lsd_by_its_decibels_and_mcd_not_at_all():
    audio_S = 50 * voice(0)  # far above the floor in every bin
    for gain in (0.5, 1.7):
        decibels = abs(20 * np.log10(gain))
        assert mel_distance_db(audio_S, gain * audio_S, RATE_HZ) == pytest.approx(decibels, abs=1e-9)
        assert lsd_db(audio_S, gain * audio_S, RATE_HZ) == pytest.approx(decibels, rel=1e-4)
        assert mcd_db(audio_S, gain * audio_S, RATE_HZ) == pytest.approx(0, abs=1e-9)
    for score in (mel_distance_db, lsd_db, mcd_db):
        assert score(audio_S, audio_S, RATE_HZ) == 0
        there, back = score(audio_S, voice(1), RATE_HZ), score(voice(1), audio_S, RATE_HZ)
        assert there == pytest.approx(back) and there > 1


def test_mcd_of_all_orders_is_the_spread_of_the_difference_in_decibels():
    """Parseval: c0 holds the mean over bands, all others together what is left."""
    true_S, made_S = voice(0), voice(1)
    difference_TM = log_mel_db(true_S, RATE_HZ) - log_mel_db(made_S, RATE_HZ)
    assert mcd_db(true_S, made_S, RATE_HZ, order=79) == pytest.approx(difference_TM.std(1).mean(), rel=1e-9)
    assert mcd_db(true_S, made_S, RATE_HZ, order=5) < mcd_db(true_S, made_S, RATE_HZ, order=20)


def test_a_ripple_of_one_cepstral_order_has_the_mcd_of_its_amplitude():
    mel_TM = np.full((7, 80), -30.0)
    rippled_TM = mel_TM + 6 * np.cos(np.pi * 3 * (np.arange(80) + 0.5) / 80)
    apart_TC = mel_cepstra(rippled_TM, 13) - mel_cepstra(mel_TM, 13)
    assert np.abs(apart_TC[:, [0, 1, 2, *range(4, 14)]]).max() < 1e-12
    assert 10 / np.log(10) * np.sqrt(2) * apart_TC[:, 3] == pytest.approx(6 / np.sqrt(2))


def test_mel_and_cepstra_are_librosas():
    librosa = pytest.importorskip("librosa")
    true_S, made_S = voice(0), voice(1)
    mels, cepstra = [], []
    for audio_S in (true_S, made_S):
        power_KT = np.abs(librosa.stft(audio_S, n_fft=1024, hop_length=256, center=False)) ** 2 * (2 / 512) ** 2
        filters_MK = librosa.filters.mel(sr=RATE_HZ, n_fft=1024, n_mels=80, norm=1, dtype=np.float64)
        mels.append(10 * np.log10(np.maximum(filters_MK @ power_KT, 1e-8)))
        cepstra.append(librosa.feature.mfcc(S=mels[-1] * np.log(10) / 10, n_mfcc=14, norm="ortho")[1:])
    np.testing.assert_allclose(log_mel_db(true_S, RATE_HZ), mels[0].T, atol=1e-4)
    assert mel_distance_db(true_S, made_S, RATE_HZ) == pytest.approx(np.abs(mels[0] - mels[1]).mean(), abs=1e-4)
    # An orthonormal cosine transform of M bands is sqrt(2 M) times ours.
    distance_T = np.sqrt(2 * np.sum((cepstra[0] - cepstra[1]) ** 2 / 160, axis=0))
    assert mcd_db(true_S, made_S, RATE_HZ) == pytest.approx(10 / np.log(10) * distance_T.mean(), abs=1e-4)


def test_lsd_is_what_scipys_spectrogram_says():
    import scipy.signal

    true_S, made_S = voice(0), voice(1)
    logs = []
    for audio_S in (true_S, made_S):
        *_, spectrum_KT = scipy.signal.stft(
            audio_S, RATE_HZ, "hann", 1024, 768, boundary=None, padded=False, scaling="spectrum"
        )
        logs.append(20 * np.log10(np.maximum(2 * np.abs(spectrum_KT), 1e-4)))
    expected = np.sqrt(((logs[0] - logs[1]) ** 2).mean(0)).mean()
    assert lsd_db(true_S, made_S, RATE_HZ) == pytest.approx(expected, rel=1e-6)


def test_dtw_finds_the_path_that_plain_dynamic_programming_finds():
    pytest.importorskip("librosa")
    true_S, made_S = voice(0, 0.4), voice(1, 0.6)
    true_TC, made_TC = (mel_cepstra(log_mel_db(x_S, RATE_HZ), 13)[:, 1:] for x_S in (true_S, made_S))
    cost_TT = scipy.spatial.distance.cdist(true_TC, made_TC)
    best: dict[tuple[int, int], tuple[float, int]] = {(-1, -1): (0.0, 0)}
    for i, row in enumerate(cost_TT):
        for j, cost in enumerate(row):
            came = min(best[k] for k in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if k in best)
            best[i, j] = (came[0] + cost, came[1] + 1)
    total, pairs = best[len(true_TC) - 1, len(made_TC) - 1]
    expected = 10 / np.log(10) * np.sqrt(2) * total / pairs
    assert mcd_db(true_S, made_S, RATE_HZ, alignment="dtw") == pytest.approx(expected, rel=1e-9)


def test_dtw_forgives_a_slower_voice_and_no_alignment_refuses_other_lengths():
    pytest.importorskip("librosa")
    audio_S = voice(0)
    slow_S = np.repeat(audio_S.reshape(-1, 960), 2, axis=0).ravel()  # each 40 ms twice
    assert mcd_db(audio_S, slow_S, RATE_HZ, alignment="dtw") < 0.5 * mcd_db(audio_S, slow_S[: len(audio_S)], RATE_HZ)
    with pytest.raises(InputError, match="48000 samples made for 24000 true ones"):
        mcd_db(audio_S, slow_S, RATE_HZ)


def test_silence_and_sounds_shorter_than_a_frame_have_figures():
    silence_S = np.zeros(RATE_HZ)
    for score in (mel_distance_db, lsd_db, mcd_db):
        assert score(silence_S, silence_S, RATE_HZ) == 0
        assert np.isfinite(score(silence_S, voice(0), RATE_HZ))
        assert np.isfinite(score(voice(0)[:100], voice(1)[:100], RATE_HZ))
    sine_S = np.sin(2 * np.pi * 96 / 1024 * np.arange(4096))
    assert 10 * np.log10(spectral._powers(sine_S, RATE_HZ)[:, 96]) == pytest.approx(0, abs=1e-9)


# Pitch


def test_pitch_errors_of_known_errors():
    true_T = 220 * 2 ** (np.sin(np.arange(200) / 9) / 6)
    true_T[100:120] = 0
    found_T = true_T * 2 ** (30 / 1200)
    errors = pitch_errors(true_T, 100, found_T, 100)
    assert errors.rmse_cents == pytest.approx(30) and errors.correlation == pytest.approx(1)
    assert (errors.frames, errors.both_voiced, errors.voicing_error, errors.ffe) == (200, 180, 0, 0)
    found_T[:10] = 0  # missed
    found_T[100:104] = 300  # called voiced
    found_T[20:25] *= 2  # an octave
    errors = pitch_errors(true_T, 100, found_T, 100)
    assert errors.voicing_error == pytest.approx(14 / 200) and errors.ffe == pytest.approx(19 / 200)
    assert errors.rmse_cents == pytest.approx(np.sqrt((165 * 30**2 + 5 * 1230**2) / 170))
    assert pitch_scores(true_T, 100, found_T, 100)["chroma"] == pytest.approx(170 / 180)
    assert pitch_scores(true_T, 100, found_T, 100)["accuracy"] == pytest.approx(165 / 180)


def test_pitch_errors_are_those_of_a_plain_count_on_random_tracks():
    rng = np.random.default_rng(0)
    for _ in range(20):
        true_T, found_T = (rng.uniform(80, 600, 150) * (rng.random(150) > 0.3) for _ in range(2))
        errors = pitch_errors(true_T, 100, found_T, 100)
        pairs = [(a, b) for a, b in zip(true_T, found_T, strict=True) if a > 0 and b > 0]
        wrong = sum((a > 0) != (b > 0) for a, b in zip(true_T, found_T, strict=True))
        gross = sum(b > 1.2 * a or b < 0.8 * a for a, b in pairs)
        cents = [1200 * np.log2(b / a) for a, b in pairs]
        assert errors.ffe == pytest.approx((wrong + gross) / 150) and errors.voicing_error == pytest.approx(wrong / 150)
        assert errors.rmse_cents == pytest.approx(np.linalg.norm(cents) / len(cents) ** 0.5)
        logs = np.log(np.array(pairs))
        assert errors.correlation == pytest.approx(scipy.stats.pearsonr(logs[:, 0], logs[:, 1]).statistic)


def test_pitch_without_common_frames_or_movement_has_no_figure_that_needs_them():
    flat_T, nothing_T = np.full(50, 200.0), np.zeros(50)
    apart = pitch_errors(flat_T, 100, nothing_T, 100)
    assert apart.rmse_cents is None and apart.correlation is None and apart.voicing_error == apart.ffe == 1
    assert pitch_errors(flat_T, 100, flat_T, 100).correlation is None
    assert pitch_errors(np.repeat(flat_T, 2), 200, flat_T, 100).rmse_cents == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="0 frames found for 50 true ones"):
        pitch_errors(flat_T, 100, np.zeros(0), 100)


# Words


def test_word_and_character_errors_of_known_sentences():
    clip = recognised("The night is young, my love!", "the knight is my love my love", "en")
    wanted, said = "the night is young my love", "the knight is my love my love"
    assert (clip.words, clip.word_errors) == (6, 3) and edits(wanted.split(), said.split()) == 3
    assert (clip.characters, clip.character_errors) == (len(wanted), edits(wanted, said))
    assert recognised("Don't stop", "do not stop", "en").word_errors == 0
    assert recognised("[Chorus] hello", "hello", "en").word_errors == 0
    assert recognised("月亮代表我的心", "月亮代表我的星", "zh").word_errors == 1
    assert recognised("월량 대표", "월량, 대표.", "ko").word_errors == 0
    nothing = recognised("hello there", "", "en")
    assert (nothing.word_errors, nothing.character_errors) == (2, 11)
    with pytest.raises(InputError, match="has none"):
        recognised("♪", "hello", "en")


def edits(one: Sequence[str], other: Sequence[str]) -> int:
    """Levenshtein's distance, by its recursion."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, row = row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    return row[-1]


def test_error_rates_pool_words_and_a_loop_counts_once():
    asked = ["one little star", "sing to me tonight"]
    said = ["one little car", "la " * 50]
    clips = [recognised(a, b, "en") for a, b in zip(asked, said, strict=True)]
    assert error_rates(clips)["wer"] == pytest.approx((1 + 4) / 7)
    pooled = jiwer.wer([spelled(text, "en") for text in asked], [spelled(text, "en") for text in said])
    assert error_rates(clips, capped=False)["wer"] == pytest.approx(pooled)
    assert pooled > 1
    with pytest.raises(InputError, match="no clip"):
        error_rates([])


def test_whisper_is_asked_at_temperature_zero_at_16_khz(monkeypatch):
    asked = {}

    def transcribe(audio_S, **settings):
        asked.update(settings, samples=len(audio_S))
        return {"text": " la la"}

    monkeypatch.setattr("autosing.models.whisper.load_whisper", lambda name: SimpleNamespace(transcribe=transcribe))
    assert hear(voice(0), RATE_HZ, "en") == " la la"
    assert (asked["temperature"], asked["samples"], asked["language"]) == (0.0, 16_000, "en")


# Singers


def test_the_nearest_singer_of_known_vectors():
    axes = np.eye(3)
    singers = {"a": axes[0], "b": 5 * axes[1], "c": axes[2]}
    clips = [axes[0] + 0.5 * axes[1], axes[1] + 2 * axes[2], axes[0] + axes[1]]
    scores = speaker_scores(clips, ["a", "b", "b"], singers)
    np.testing.assert_allclose(scores.cosine_N, [1 / np.sqrt(1.25), 1 / np.sqrt(5), 1 / np.sqrt(2)])
    assert scores.nearest_N.tolist() == [True, False, False]  # of the last, a tie
    assert scores.nearest_rate == pytest.approx(1 / 3)
    rng = np.random.default_rng(0)
    for one_E, other_E in rng.standard_normal((5, 2, 256)):
        assert cosine(one_E, other_E) == pytest.approx(1 - scipy.spatial.distance.cosine(one_E, other_E))


def test_singers_that_cannot_be_compared_are_refused():
    with pytest.raises(InputError, match="target z: not among the 2 singers"):
        speaker_scores([np.ones(2)], ["z"], {"a": np.ones(2), "b": np.ones(2)})
    with pytest.raises(InputError, match="among 1"):
        speaker_scores([np.ones(2)], ["a"], {"a": np.ones(2)})
    with pytest.raises(InputError, match="all zeros"):
        cosine(np.zeros(2), np.ones(2))


# Cost


def test_rtf_counts_work_and_not_waiting():
    def busy(seconds: float) -> None:
        start = time.process_time()
        while time.process_time() - start < seconds:
            pass

    assert measure_speed(lambda: busy(0.05), audio_s=0.5, warm_up=0).rtf == pytest.approx(0.1, rel=0.5)
    asleep = measure_speed(lambda: time.sleep(0.1), audio_s=0.5, repeats=2)
    assert asleep.rtf < 0.1 and asleep.wall_s >= 0.1, "0.2 if the waiting counted"
    runs = []
    measure_speed(lambda: runs.append(0), 1.0, repeats=3, warm_up=2)
    assert len(runs) == 5
    with pytest.raises(InputError, match="more than 0 s"):
        measure_speed(lambda: None, 0.0)


# Intervals


@pytest.mark.parametrize("draw", ["normal", "uniform"])
def test_the_interval_covers_a_known_mean_in_93_to_97_of_100_trials(draw):
    rng = np.random.default_rng(1)
    trials_N = rng.normal(3, 2, (1500, 60)) if draw == "normal" else rng.uniform(1, 5, (1500, 60))
    intervals = [bootstrap_interval(trial_N, resamples=1000, seed=seed) for seed, trial_N in enumerate(trials_N)]
    covered = np.mean([interval.low <= 3 <= interval.high for interval in intervals])
    assert 0.93 <= covered <= 0.97, covered


def test_an_interval_has_its_seed_its_level_and_its_value():
    values_N = np.random.default_rng(0).normal(0, 1, 40)
    first = bootstrap_interval(values_N, seed=3)
    assert first == bootstrap_interval(values_N, seed=3) != bootstrap_interval(values_N, seed=4)
    assert first.value == pytest.approx(values_N.mean()) and first.low < first.value < first.high
    # Of many resamplings of N figures the mean spreads as their (biased) deviation / sqrt(N).
    wide = bootstrap_interval(values_N, resamples=20_000)
    expected = 2 * 1.96 * values_N.std() / np.sqrt(40)
    assert wide.high - wide.low == pytest.approx(expected, rel=0.05)
    narrow = bootstrap_interval(values_N, level=0.5)
    assert first.low < narrow.low < narrow.high < first.high
    with pytest.raises(InputError, match="two or more"):
        bootstrap_interval([1.0])


def test_the_interval_of_an_error_rate_draws_clips_with_their_words():
    errors, words = [0, 1, 2, 3] * 10, [10, 10, 10, 30] * 10
    found = bootstrap_interval(errors, words, statistic=ratio_of_sums)
    assert found.value == pytest.approx(60 / 600) and 0.05 < found.low < 0.1 < found.high < 0.16
    same = bootstrap_interval([1] * 10, [7] * 10, statistic=ratio_of_sums)
    assert same.low == same.high == pytest.approx(1 / 7)


def test_an_average_spectrum_hears_formants_but_neither_level_nor_pauses():
    singers = {"low": voice(0, 2.0), "high": voice(6, 2.0)}
    spectra = {name: average_spectrum_db(audio_S, RATE_HZ) for name, audio_S in singers.items()}
    for name, audio_S in singers.items():
        other_S = np.concatenate([np.zeros(RATE_HZ), 0.1 * audio_S[: RATE_HZ // 2], np.zeros(RATE_HZ)])
        assert nearest_by_spectrum(average_spectrum_db(other_S, RATE_HZ), name, spectra), name
        np.testing.assert_allclose(average_spectrum_db(0.5 * audio_S, RATE_HZ), spectra[name], atol=0.1)
    assert not nearest_by_spectrum(spectra["low"], "high", spectra)
    assert not nearest_by_spectrum(spectra["low"], "low", {"low": spectra["low"], "twin": spectra["low"]}), "a tie"
    with pytest.raises(InputError, match="nothing sounds"):
        average_spectrum_db(np.zeros(RATE_HZ), RATE_HZ)
    with pytest.raises(InputError, match="need it among two singers"):
        nearest_by_spectrum(spectra["low"], "low", {"low": spectra["low"]})
