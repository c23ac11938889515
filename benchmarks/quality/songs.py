"""Songs of an unseen seed -> what natural voices are worth, as JSON on stdout.

python benchmarks/quality/songs.py OUT [--songs 24] [--seed 4711] [--lines 2] [--voices natural]
       [--measures f0,singers,onsets,wer]
Makes the songs in OUT (kept on a second run), then measures the dry voice: words that Whisper base gets wrong, line by
line, beside the same lines spoken; f0 asked against what FCPE tracks; whether singers are told apart; vowel onsets
after voiceless consonants against the rise of the vowel's band (on synthetic voices, whose times are exact, 0.97 are
found within 25 ms); CPU seconds a second of song.
"""

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosing.audio.io import Audio, decode
from autosing.audio.pitch import load_tracker
from autosing.models.speaker import load_speaker_encoder
from autosing.models.whisper import load_whisper
from autosing.songs import F0_RATE_HZ, SongTruth, load_truth, make_songs
from autosing.timebase import PITCH_RATE_HZ

_MEASURES = ("f0", "singers", "onsets", "wer")
_VOICELESS = set("ptkfsʃθh") | {"tʃ"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--singers", type=int, default=12)
    parser.add_argument("--lines", type=int, default=2, help="of the verse, and of the chorus")
    parser.add_argument("--voices", default="natural")
    parser.add_argument("--measures", default=",".join(_MEASURES), help="of these; singers alone for --singers 40")
    given = parser.parse_args()
    wanted = given.measures.split(",")
    if unknown := set(wanted) - set(_MEASURES):
        parser.error(f"--measures: {', '.join(sorted(unknown))} unknown; need some of {', '.join(_MEASURES)}")
    torch.set_num_threads(1)
    started = time.process_time()
    make_songs(
        given.out, given.songs, given.seed, languages=["en"], singers=given.singers, partitions=1, workers=1,
        lines=given.lines, voices=given.voices,
    )  # fmt: skip
    made_s = time.process_time() - started
    truths = [load_truth(given.out, f"song{n:04d}") for n in range(given.songs)]
    homes = [given.out / "truth" / truth.id for truth in truths]
    voices = [decode(home / "vocals_dry.flac") for home in homes]
    song_s = sum(voice.duration_s for voice in voices)
    speeches = [decode(home / "speech.flac") for home in homes]
    report = {
        "what": "songs", "voices": given.voices, "songs": given.songs, "seconds": round(song_s),
        "cpu_s_per_song_s": round(made_s / song_s, 3) if made_s > 10 else None, "words": _vocabulary(truths),
    }  # fmt: skip
    measures = {
        "f0": lambda: _f0(truths, voices), "singers": lambda: _singers(truths, voices),
        "onsets": lambda: _onsets(truths, voices), "wer": lambda: _wer(truths, voices, speeches),
    }  # fmt: skip
    report |= {name: measures[name]() for name in _MEASURES if name in wanted}
    print(json.dumps(report, indent=1))


def _vocabulary(truths: list[SongTruth]) -> dict[str, int]:
    words = [word.text.lower() for truth in truths for word in truth.words]
    return {"sung": len(words), "different": len(set(words))}


def _wer(truths: list[SongTruth], voices: list[Audio], speeches: list[Audio]) -> dict[str, Any]:
    """Whisper base at temperature 0; a line of its own each, errors of a line at most its words."""
    import jiwer
    from whisper.normalizers import EnglishTextNormalizer

    model, tidy = load_whisper(), EnglishTextNormalizer()
    wrong = {"sung": 0, "spoken": 0}
    total, by_song = 0, []
    for truth, voice, speech in zip(truths, voices, speeches, strict=True):
        song_wrong, song_total = 0, 0
        for number, line in enumerate(truth.lines):
            spoken = [word for word in truth.spoken_words if word.line == number]
            spans = {"sung": (voice, line.start_s, line.end_s), "spoken": (speech, spoken[0].start_s, spoken[-1].end_s)}
            wanted = tidy(line.text)
            for kind, (audio, start_s, end_s) in spans.items():
                cut = audio.cut(max(0.0, start_s - 0.15), end_s - start_s + 0.3)
                heard = model.transcribe(
                    _half_scale(cut.resampled(16000).mono_S()), language="en", temperature=0.0, fp16=False
                )["text"]
                score = jiwer.process_words(wanted, tidy(heard) or "-")
                errors = min(score.substitutions + score.deletions + score.insertions, len(wanted.split()))
                wrong[kind] += errors
                song_wrong += errors if kind == "sung" else 0
            total += len(wanted.split())
            song_total += len(wanted.split())
        by_song.append(round(song_wrong / song_total, 3))
    return {kind: round(errors / total, 3) for kind, errors in wrong.items()} | {"words": total, "songs": by_song}


def _f0(truths: list[SongTruth], voices: list[Audio]) -> dict[str, Any]:
    """Frames voiced in both; `lag_ms` is the shift of the tracked f0 at which it fits best (0 is right)."""
    track = load_tracker("fcpe")
    within, cents, heard, lags = [], [], [], []
    for truth, voice in zip(truths, voices, strict=True):
        found_T = track(_half_scale(voice.mono_S()), voice.sample_rate_hz)
        apart = {ms: _cents(truth, found_T, ms / 1000) for ms in range(-30, 31, 5)}
        lags.append(min(apart, key=lambda ms: float(np.mean(np.minimum(apart[ms][0], 100)))))
        within.append(float((apart[0][0] <= 50).mean()))
        cents.append(float(np.median(apart[0][0])))
        heard.append(apart[0][1])
    return {
        "within_50_cents": round(float(np.mean(within)), 4), "worst": round(min(within), 4),
        "median_cents": round(float(np.median(cents)), 2), "asked_heard": round(float(np.mean(heard)), 3),
        "lag_ms": float(np.median(lags)),
    }  # fmt: skip


def _cents(truth: SongTruth, found_T: np.ndarray, lag_s: float) -> tuple[np.ndarray, float]:
    """(|cents| of the frames voiced in both, share of the asked frames that are voiced)"""
    at_T = np.arange(len(found_T)) / float(PITCH_RATE_HZ) - lag_s
    frame_T = np.clip(np.round(at_T * float(F0_RATE_HZ)).astype(int), 0, len(truth.f0_hz) - 1)
    asked_T = truth.f0_hz[frame_T]
    both_T = (asked_T > 0) & (found_T > 0)
    cents_T = 1200 * np.abs(np.log2(found_T[both_T] / asked_T[both_T]))
    return cents_T, float(both_T.sum() / (asked_T > 0).sum())


def _singers(truths: list[SongTruth], voices: list[Audio]) -> dict[str, Any]:
    """A song's nearest other song (GE2E) should be its singer's; and each pair of one singer beats pairs of two."""
    encoder = load_speaker_encoder()
    vectors = [encoder.embed(voice.mono_S(), voice.sample_rate_hz) for voice in voices]
    pairs = [
        (truths[a].artist == truths[b].artist, a, b, float(vectors[a] @ vectors[b]))
        for a, b in itertools.combinations(range(len(truths)), 2)
    ]
    same = [pair for pair in pairs if pair[0]]
    wins = [
        score > other
        for _, a, b, score in same
        for is_same, c, d, other in pairs
        if not is_same and {a, b} & {c, d}
    ]  # fmt: skip
    return {
        "singers": len({truth.artist for truth in truths}), "same_nearer_than_other": round(float(np.mean(wins)), 4),
        "same_mean": round(float(np.mean([pair[3] for pair in same])), 3),
        "other_mean": round(float(np.mean([pair[3] for pair in pairs if not pair[0]])), 3),
        "other_max": round(max(pair[3] for pair in pairs if not pair[0]), 3),
    }  # fmt: skip


def _onsets(truths: list[SongTruth], voices: list[Audio]) -> dict[str, Any]:
    """Found minus true start of vowels after voiceless consonants: where the band of the voice rises most."""
    errors = np.array([error for each in zip(truths, voices, strict=True) for error in _rises(*each)])
    return {
        "vowels": len(errors), "median_ms": round(float(np.median(errors)) * 1000, 1),
        "within_25_ms": round(float((np.abs(errors) <= 0.025).mean()), 3),
        "median_abs_ms": round(float(np.median(np.abs(errors))) * 1000, 1),
    }  # fmt: skip


def _rises(truth: SongTruth, voice: Audio) -> Iterator[float]:
    """Where 100-900 Hz comes within 12 dB of the vowel, for good, after it was 24 dB below or as low as it gets.

    What is further below does not count: half way up from a plosive's silence, its burst would be taken for the vowel.
    """
    from scipy.signal import butter, sosfiltfilt

    rate_hz, steps_hz, floor_db = 8000, 500, 24
    low_S = sosfiltfilt(butter(3, (100, 900), "band", fs=rate_hz, output="sos"), voice.resampled(rate_hz).mono_S())
    window = np.hanning(rate_hz * 8 // 1000 + 1)
    power = np.convolve(np.square(low_S), window / window.sum(), "same")[:: rate_hz // steps_hz]
    level_T = 10 * np.log10(np.maximum(power, 1e-10))
    for syllable in truth.syllables:
        before, vowel = truth.phones[syllable.nucleus - 1], truth.phones[syllable.nucleus]
        if syllable.nucleus == 0 or before.phone not in _VOICELESS or before.end_s < vowel.start_s - 0.005:
            continue
        first, last = round((vowel.start_s - 0.1) * steps_hz), round((vowel.start_s + 0.12) * steps_hz)
        if first < 0 or last > len(level_T):
            continue
        own = level_T[first + 50 : min(last, max(round(vowel.end_s * steps_hz), first + 65))]  # not the next vowel's
        vowel_db = float(np.percentile(own, 80))
        window_db = np.maximum(level_T[first:last], vowel_db - floor_db)
        lowest_db = float(window_db[:85].min())
        if vowel_db - lowest_db < 10:
            continue
        at = int(np.flatnonzero(window_db[:85] <= lowest_db + 1)[-1])
        crossed = np.flatnonzero(window_db[at:] >= vowel_db - floor_db / 2)
        if len(crossed):
            yield (first + at + int(crossed[0])) / steps_hz - vowel.start_s


def _half_scale(audio_S: np.ndarray) -> np.ndarray:
    return (audio_S / max(1e-6, float(np.abs(audio_S).max())) * 0.5).astype(np.float32)


if __name__ == "__main__":
    main()
