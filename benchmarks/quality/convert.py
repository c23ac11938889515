"""A conversion run and singing -> how well it converts, beside what needs no model, as JSON on stdout.

python benchmarks/quality/convert.py RUN --songs MADE [--voices MADE ...] [--seen NAME ...] [--unseen NAME ...] [more]
python benchmarks/quality/convert.py RUN --real FOLDER [--language en] [--unseen NAME ...] [more]
    more: [--clips 24] [--seconds 15] [--set key=value ...] [--no-words] [--by-name] [--keep FOLDER] [--sounds FOLDER]

MADE is what `autosing songs` writes; its clips (the first whole lines of a song, dry) are converted, of a seed that the
run has not learnt. --voices: more songs of the same singers, such as the learnt ones, from which their voices are taken
(each singer needs two songs in all). FOLDER holds recordings: FOLDER/<singer>/*.wav, cut into clips; their voices are
taken from other clips. Conversion is that of `autosing convert`, with --set its options; by default --key auto.

Ways, on the same clips:
source   the clip itself                     codec    through the bundled codec    latent   the same, not quantised
own      the clip against its own singer: as near as a conversion can come
self     converted to its own singer         seen     to another singer that the run knows: the mean of its songs
unseen   to a singer that the run does not know, enrolled from 10 s (--unseen; none: left out)
world_seen, world_unseen   by WORLD: f0 moved to the target's median, formants by the ratio of the mean envelopes

Figures, each with its 95 % interval by bootstrap over clips: f0 by FCPE against the f0 that was asked for (correlation,
RMSE in cents where both are voiced, share of frames of wrong voicing); `nearest`: the target is nearer than all other
singers (GE2E, means of songs that the model was not told of); cosines to the target and to the source clip; WER and CER
of Whisper base (temperature 0, line by line) against the true words, or the share of the words that it hears in the
source and hears again; mel distance and MCD where the clip itself should come out. For the controls `target` is that of
`seen`. --by-name: a singer of `seen` whom the run knows is told as `convert --singer NAME` tells it. --keep: a folder
in which figures stay, for the next run. --sounds: a folder in which all sounds stay.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from autosing.audio.io import Audio, save
from autosing.codecs import BUNDLED, load_codec
from autosing.codecs.fitted import FittedCodec
from autosing.config import load_config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.metrics.kept import Kept
from autosing.metrics.meter import Meter
from autosing.metrics.scores import Scores, summary
from inference.evaluate.baselines import by_world, ratio_to
from inference.evaluate.cast import Cast, assigned
from inference.evaluate.clips import RATE_HZ, Clip, made_clips, real_clips, spread
from inference.evaluate.judge import Judge
from inference.evaluate.systems import FromSource, Made
from inference.voice.convert import ConvertConfig
from inference.voice.singers import Voice, voices_of_run

ENROLLED_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--songs", type=Path)
    parser.add_argument("--voices", type=Path, nargs="*", default=[])
    parser.add_argument("--real", type=Path)
    parser.add_argument("--language", default="en")
    parser.add_argument("--seen", nargs="*", help="by default all who are not --unseen")
    parser.add_argument("--unseen", nargs="*", default=[])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--no-words", action="store_true")
    parser.add_argument("--by-name", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--sounds", type=Path)
    given = parser.parse_args()
    if (given.songs is None) == (given.real is None):
        parser.error("give --songs or --real, one of them")
    torch.set_num_threads(1)
    started = time.monotonic()
    config = load_config(ConvertConfig, given.config, ["key=auto", *given.set])
    with ExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="autosing-")))
        if given.songs:
            clips = made_clips(given.songs, given.seconds)
            more = [clip for folder in given.voices for clip in made_clips(folder, given.seconds)]
        else:
            clips, more = real_clips(given.real, given.seconds, given.language), []
        meter = Meter(Kept(given.keep), RATE_HZ)
        cast = Cast([*more, *clips], meter)
        cast.check_all_known()
        seen, unseen = sides(cast, given.seen, given.unseen)
        aimed = [clip for clip in clips if all({*names} - {clip.singer} for names in (seen, unseen) if names)]
        chosen = spread([clip for clip in aimed if cast.voice(clip) is not None], given.clips)
        judge = Judge(cast, meter, words=not given.no_words)
        scores = judged(
            chosen, cast, judge, FromSource(given.run, config, work), meter, given.sounds or work, seen, unseen,
            {voice.name: voice for voice in voices_of_run(given.run)} if given.by_name else {},
        )  # fmt: skip
    report = {
        "what": "convert", "run": str(given.run), "clips": len(chosen),
        "seconds": round(sum(clip.duration_s for clip in chosen), 1), "singers": len(cast.singers),
        "seen": len(seen), "unseen": len(unseen), "config": config.dump(),
        "ways": {way: summary(found) for way, found in scores.items()}, "wall_s": round(time.monotonic() - started),
    }  # fmt: skip
    print(json.dumps(report, indent=1))


def sides(cast: Cast, seen: list[str] | None, unseen: list[str]) -> tuple[list[str], list[str]]:
    """(singers that the run knows, singers that it does not). Raises InputError for a name that nobody has."""
    strange = sorted({*(seen or []), *unseen} - set(cast.singers))
    if strange:
        raise InputError(f"singer {strange[0]!r}: not among {', '.join(cast.singers)}")
    return seen or [name for name in cast.singers if name not in unseen], unseen


def judged(
    clips: list[Clip],
    cast: Cast,
    judge: Judge,
    model: FromSource,
    meter: Meter,
    sounds: Path,
    seen: list[str],
    unseen: list[str],
    known: Mapping[str, Voice],
) -> dict[str, list[Scores]]:
    """Way -> its clips' scores. `known`: voices of `seen` that are told so."""
    scores: dict[str, list[Scores]] = {}
    codecs = codec_ways()
    targets = list(assigned(clips, seen, seed_of("seen")))
    others = list(assigned(clips, unseen, seed_of("unseen"))) if unseen else []

    def keep(way: str, clip: Clip, made: Made, target: str, rebuilt: bool = False) -> None:
        assert made.asked_hz_T is not None, way
        scores.setdefault(way, []).append(judge.scores(clip, made.audio_S, made.asked_hz_T, target, rebuilt))
        sounds.mkdir(parents=True, exist_ok=True)
        save(Audio(made.audio_S[None], RATE_HZ), sounds / f"{clip.song}-{way}.wav")

    for number, clip in enumerate(clips):
        f0_hz_T = judge.track(clip.audio_S)
        controls = {"source": Made(clip.audio_S, f0_hz_T)}
        controls |= {way: Made(remake(clip.audio_S), f0_hz_T) for way, remake in codecs.items()}
        for way, made in controls.items():
            keep(way, clip, made, targets[number], rebuilt=True)
        scores.setdefault("own", []).append(judge.own(clip))
        own = model.sing(clip, cast.told(clip.singer, without=clip.song), as_it_is=True)
        keep("self", clip, own, clip.singer, rebuilt=True)
        aims = {"seen": (targets[number], known.get(targets[number]) or cast.told(targets[number]))}
        if others:
            aims["unseen"] = (others[number], cast.told(others[number], ENROLLED_S))
        for way, (target, voice) in aims.items():
            keep(way, clip, model.sing(clip, voice), target)
            ratio = ratio_to(f0_hz_T, voice)
            keep(f"world_{way}", clip, by_world(clip, f0_hz_T, ratio, cast.telling_S(target), meter), target)
    return scores


def codec_ways() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """audio_S at RATE_HZ -> audio_S through the bundled codec."""
    codec = load_codec(BUNDLED)
    assert isinstance(codec, FittedCodec) and codec.spec.sample_rate_hz == RATE_HZ, codec.spec
    return {"codec": lambda x_S: codec.decode_flat(codec.encode_flat(x_S)), "latent": codec.resynthesise}


if __name__ == "__main__":
    main()
