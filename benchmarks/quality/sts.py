"""A run of sts and made songs that it has not learnt -> how well it sings their speech, as JSON on stdout.

python benchmarks/quality/sts.py RUN --songs MADE --voices MADE ... [more]
    more: [--clips 24] [--seconds 15] [--set key=value ...] [--no-words] [--keep FOLDER] [--sounds FOLDER]

MADE is what `autosing songs` writes. The first whole lines of each song are sung from their speech, as `autosing
speech-to-singing` does it, with --set its options: the words are looked for in the speech, and who sings is who speaks.
--voices: songs of the same singers, by which the singer is judged.

Ways, on the same lines:
truth    the dry voice itself                     space    through the model's space: what is possible at best
times    the score with the phones' own times     beat     phones without times: consonants last as they are spoken
pitch    as times, on the true f0 (AlignSTS is always given it)
world    the spoken line, word by word stretched on the score, at the score's pitch, by WORLD: needs no model
world_f0 the same on the true f0

Figures as in benchmarks/quality/render.py, and the raw chroma accuracy against the truth's f0.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from render import Lines, Made, enrolled, figures, judged, stretched, through_space

from autosing.audio.io import Audio, save
from autosing.config import load_config
from autosing.metrics.kept import Kept
from autosing.metrics.meter import Meter
from autosing.metrics.scores import Scores
from autosing.models.sung_score import score_item
from autosing.score.change import without_times
from autosing.songs import F0_RATE_HZ
from inference.evaluate.cast import Cast
from inference.evaluate.clips import RATE_HZ, made_clips, spread
from inference.evaluate.judge import Judge
from inference.evaluate.systems import FromSpeech
from inference.speech_to_singing import SpeechConfig
from inference.voice.score_song import num_pitches
from inference.voice.singers import Voice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--voices", type=Path, nargs="*", default=[])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--no-words", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--sounds", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic()
    config = load_config(SpeechConfig, given.config, given.set)
    system = FromSpeech(given.run, config)
    found: dict[str, list[tuple[Scores, np.ndarray, float | None]]] = {}
    with ExitStack() as stack:
        work = given.sounds or Path(stack.enter_context(TemporaryDirectory(prefix="autosing-")))
        work.mkdir(parents=True, exist_ok=True)
        clips = made_clips(given.songs, given.seconds)
        more = [clip for folder in given.voices for clip in made_clips(folder, given.seconds)]
        meter = Meter(Kept(given.keep), RATE_HZ)
        cast = Cast([*more, *clips], meter)
        cast.check_all_known()
        judge = Judge(cast, meter, words=not given.no_words)
        for clip in spread(clips, given.clips):
            lines = Lines.of(clip, given.songs)
            for way, made in ways(lines, system, enrolled(clip, work), judge):
                if given.sounds:
                    save(Audio(made.audio_S[None].clip(-1, 1), RATE_HZ), work / f"{clip.song}-{way}.wav")
                found.setdefault(way, []).append(judged(lines, made, judge))
    report = {
        "what": "sts", "run": str(given.run), "clips": len(found["truth"]), "config": config.dump(),
        "ways": {way: figures(each) for way, each in found.items()}, "wall_s": round(time.monotonic() - started),
    }  # fmt: skip
    print(json.dumps(report, indent=1))


def ways(lines: Lines, system: FromSpeech, singer: Voice, judge: Judge) -> Iterator[tuple[str, Made]]:
    clip, score = lines.clip, lines.score
    yield "truth", Made(clip.audio_S)
    yield "space", Made(through_space(clip, system.model))
    heard = system.hear(clip, score)
    f0_hz_T = judge.track(clip.audio_S)
    f0_hz_T = np.pad(f0_hz_T, (0, max(0, num_pitches(score.duration_s) - len(f0_hz_T))))
    for way, sung in (
        ("times", system.sing_score(score, heard, singer)),
        ("beat", system.sing_score(without_times(score), heard, singer)),
        ("pitch", system.sing_score(score, heard, singer, f0_hz_T[: num_pitches(score.duration_s)])),
    ):
        yield way, Made(system.sound(sung, clip), sung.song.f0_hz_T)
    yield "world", Made(stretched(lines, notes_hz(lines)))
    yield "world_f0", Made(stretched(lines))


def notes_hz(lines: Lines) -> np.ndarray:
    """f0_hz_T of the score alone, at F0_RATE_HZ: notes, gliding into one another."""
    count = int(lines.clip.duration_s * float(F0_RATE_HZ)) + 1
    midi_T = score_item(lines.score, Fraction(F0_RATE_HZ), count)["midi_F"]
    hz_T: np.ndarray = 440 * 2 ** ((midi_T.astype(np.float64) - 69) / 12)
    return hz_T


if __name__ == "__main__":
    main()
