"""Runs of t2s and sm2a -> how well they sing words that they have not learnt from, as JSON on stdout.

python benchmarks/quality/sing.py T2S SM2A [--lines 40] [--any 20] [--seed 7001] [--set key=value ...] [--sounds FOLDER]

The lines of benchmarks/quality/words.py: `made` and `any`. For each a tune is composed and a band plays its chords; the
two models are told the band, the times of the words on that tune, and a singer of the sm2a run, as `autosing sing`
tells them, with --set its options. What melody they sing is theirs. Figures as there, on the voice alone, without those
of notes; and `in_time`, the share of words whose start, as the aligner finds it in the voice from the bare lines, lies
within 0.25 s of what was asked.
"""

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from words import LANGUAGE, add_options, keep_sound, lines_to_sing, on_scale, with_interval, words_lost

from autosing.audio.io import Audio, encode, save
from autosing.metrics.kept import Kept
from autosing.metrics.meter import Meter
from autosing.metrics.recognition import recognised
from autosing.schemas.tables import Lyrics
from autosing.songs.band import SONG_RATE_HZ
from autosing.songs.compose import accompaniment, compose
from inference.load import load_models
from inference.lyrics_plan import read_lyrics
from inference.render import lrc_of
from inference.request import SingRequest, config_of, resolve
from inference.singing import perform
from inference.voice.singers import voices_of_run
from processing.stages.align import Align, AlignConfig, SongToAlign

_IN_TIME_S = 0.25
_TAIL_S = 0.5
"""Of the band after the last word."""

Pair = tuple[int, int]
"""(how many, of how many)"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("t2s", type=Path)
    parser.add_argument("sm2a", type=Path)
    parser.add_argument("--any", type=int, default=20)
    add_options(parser)
    given = parser.parse_args()
    if min(given.lines, given.any) < 2:
        parser.error(f"{given.lines} made and {given.any} any lines: need at least 2 of each for an interval")
    torch.set_num_threads(1)
    started = time.monotonic()
    config = config_of({"separator": "none"}, None, given.set)
    singers = voices_of_run(given.sm2a)
    aligner = Align(AlignConfig())
    aligner.setup()
    kinds = lines_to_sing(given.lines, given.seed)
    kinds["any"] = kinds["any"][: given.any]
    report: dict[str, Any] = {"what": "sing", "t2s": str(given.t2s), "sm2a": str(given.sm2a), "seed": given.seed}
    sung_s = work_s = 0.0
    models, meter = None, None
    with TemporaryDirectory(prefix="autosing-") as folder:
        for kind, lines in kinds.items():
            found: list[dict[str, Pair]] = []
            for number, line in enumerate(lines):
                singer = singers[number % len(singers)]
                tune = compose([line], LANGUAGE, singer.middle_hz, given.seed + number)
                lrc, band = lrc_of(tune.score), Path(folder) / "band.wav"
                _, asked = read_lyrics(lrc)
                length_s = asked[-1].end_s + _TAIL_S
                save(accompaniment(tune, SONG_RATE_HZ, round(length_s * SONG_RATE_HZ), seed=given.seed + number), band)
                own = config.model_copy(update={"length_s": length_s, "seed": number})
                resolved = resolve(SingRequest(given.sm2a, given.t2s, str(band), lrc, singer.name, config=own))
                models = models or load_models(resolved)
                begun_s = time.process_time()
                voice = perform(resolved, models).candidates[0].mix.vocals
                work_s += time.process_time() - begun_s
                sung_s += length_s
                if given.sounds:
                    keep_sound(voice, given.sounds, kind, number)
                meter = meter or Meter(Kept(None), voice.sample_rate_hz)
                heard = recognised(line, meter.heard(voice.mono_S(), LANGUAGE), LANGUAGE)
                asked_s = [word.start_s for each in asked for word in each.words]
                found.append({
                    "wer": words_lost(heard),
                    "on_scale": on_scale(meter.f0_hz(voice.mono_S()), tune.key),
                    "in_time": in_time(aligner, voice, line, asked_s),
                })  # fmt: skip
            report[kind] = {"lines": len(found), **{
                name: with_interval([figures[name] for figures in found]) for name in ("wer", "on_scale", "in_time")
            }}  # fmt: skip
    report |= {"cpu_s_a_second": round(work_s / sung_s, 3), "wall_s": round(time.monotonic() - started)}
    print(json.dumps(report))


def in_time(aligner: Align, voice: Audio, line: str, asked_s: list[float]) -> Pair:
    """(words that start when they were asked to, words); none of those of a line in which no singing is found."""
    lyrics = aligner.apply(SongToAlign("line", encode(voice), None, None, line, LANGUAGE))
    if not isinstance(lyrics, Lyrics) or len(lyrics.words) != len(asked_s):
        return 0, len(asked_s)
    off_s = [abs(word.start_s - asked) for word, asked in zip(lyrics.words, asked_s, strict=True)]
    return sum(off <= _IN_TIME_S for off in off_s), len(off_s)


if __name__ == "__main__":
    main()
