"""A run of visinger -> how well it sings words that nobody gave it a score for, as JSON on stdout.

python benchmarks/quality/words.py [RUN] [--lines 40] [--seed 7001] [--set key=value ...] [--sounds FOLDER]

Two kinds of lines: `made`, of the grammar of `autosing songs` (its seeds are others), and `any`, the twenty lines of
any_english.txt. For each a tune is composed, and the run's singers sing them in turn, as `autosing render --lyrics`
does. Figures, with 95 % intervals by bootstrap over lines: WER of Whisper base (temperature 0); `on_scale`, the share
of voiced frames (FCPE) whose nearest semitone is in the tune's major key; `near_note`, the share of voiced frames
inside notes that are within 50 cents of them; `held`, the share of lines whose last note sounds for at least half of
its length.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosing.audio.io import Audio, save
from autosing.audio.key import Key
from autosing.config import load_config
from autosing.metrics.interval import bootstrap_interval, ratio_of_sums
from autosing.metrics.kept import Kept
from autosing.metrics.meter import Meter
from autosing.metrics.recognition import Recognised, recognised
from autosing.models.bundled import VISINGER
from autosing.songs.compose import Tune, compose
from autosing.songs.grammar import english_sentence
from autosing.timebase import PITCH_RATE_HZ
from inference.render import RenderConfig
from inference.voice.engine import render
from inference.voice.load import load_score_voice
from inference.voice.score_song import song_of
from inference.voice.singers import voices_of_run

LANGUAGE = "en"
_ANY = Path(__file__).with_name("any_english.txt")
_EDGE_S = 0.06
"""Notes glide into one another for so long."""


@dataclass(frozen=True)
class Sung:
    """One line's figures."""

    heard: Recognised
    on_scale: tuple[int, int]
    near_note: tuple[int, int]
    held: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", default=Path(VISINGER))
    add_options(parser)
    given = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    config = load_config(RenderConfig, None, given.set)
    model, singers = load_score_voice(given.run), voices_of_run(given.run)
    rate = model.spec.sample_rate_hz
    meter = Meter(Kept(None), rate)
    report: dict[str, Any] = {"what": "words", "run": str(given.run), "seed": given.seed}
    sung_s = work_s = 0.0
    for kind, lines in lines_to_sing(given.lines, given.seed).items():
        found = []
        for number, line in enumerate(lines):
            singer = singers[number % len(singers)]
            tune = compose([line], LANGUAGE, singer.middle_hz, given.seed + number)
            begun_s = time.process_time()
            sung = song_of(model, tune.score, singer.vector_E, config.vibrato)
            audio_S = np.concatenate(list(render(model, sung.song, config.engine)))
            work_s += time.process_time() - begun_s
            sung_s += len(audio_S) / rate
            if given.sounds:
                keep_sound(Audio(audio_S[None].clip(-1, 1), rate), given.sounds, kind, number)
            found.append(judged(line, tune, audio_S, meter))
        report[kind] = figures(found)
    report |= {"cpu_s_a_second": round(work_s / sung_s, 3), "wall_s": round(time.monotonic() - started)}
    print(json.dumps(report))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--sounds", type=Path)


def lines_to_sing(made: int, seed: int) -> dict[str, list[str]]:
    """kind -> its lines; `made`: how many of the first kind."""
    rng = np.random.default_rng(seed)
    return {"made": [english_sentence(rng) for _ in range(made)], "any": _ANY.read_text().splitlines()}


def keep_sound(audio: Audio, folder: Path, kind: str, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save(audio, folder / f"{kind}-{number:02d}.wav")


def words_lost(heard: Recognised) -> tuple[int, int]:
    """(errors, at most all words; words)."""
    return min(heard.word_errors, heard.words), heard.words


def judged(line: str, tune: Tune, audio_S: np.ndarray, meter: Meter) -> Sung:
    f0_hz_T = meter.f0_hz(audio_S)
    midi_T, voiced_T = _midi(f0_hz_T), f0_hz_T > 0
    at_s = np.arange(len(f0_hz_T)) / float(PITCH_RATE_HZ)
    near, inside = 0, 0
    for note in tune.score.notes:
        within_T = voiced_T & (at_s >= note.start_s + _EDGE_S) & (at_s < note.end_s - _EDGE_S)
        inside += int(within_T.sum())
        near += int((np.abs(midi_T[within_T] - (note.midi or 0)) <= 0.5).sum())
    last = tune.score.notes[-1]
    last_T = (at_s >= last.start_s) & (at_s < last.end_s)
    return Sung(
        recognised(line, meter.heard(audio_S, LANGUAGE), LANGUAGE), on_scale(f0_hz_T, tune.key),
        (near, inside), bool(voiced_T[last_T].mean() >= 0.5),
    )  # fmt: skip


def on_scale(f0_hz_T: np.ndarray, key: int) -> tuple[int, int]:
    """(voiced frames whose nearest semitone is in the major key, voiced frames)."""
    off_T = Key(key, "major").cents_off(f0_hz_T[f0_hz_T > 0])
    return int((off_T < 50).sum()), len(off_T)


def _midi(f0_hz_T: np.ndarray) -> np.ndarray:
    midi_T: np.ndarray = 69 + 12 * np.log2(np.maximum(f0_hz_T, 1.0) / 440)
    return midi_T


def figures(found: list[Sung]) -> dict[str, Any]:
    pairs = {
        "wer": [words_lost(s.heard) for s in found],
        "on_scale": [s.on_scale for s in found],
        "near_note": [s.near_note for s in found],
        "held": [(int(s.held), 1) for s in found],
    }
    return {"lines": len(found), **{name: with_interval(each) for name, each in pairs.items()}}


def with_interval(pairs: list[tuple[int, int]]) -> dict[str, Any]:
    part_N, whole_N = np.array(pairs, float).T
    found = bootstrap_interval(part_N, whole_N, statistic=ratio_of_sums)
    return {"value": round(found.value, 3), "interval": [round(found.low, 3), round(found.high, 3)]}


if __name__ == "__main__":
    main()
