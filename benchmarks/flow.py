"""A conversion run and made songs -> quality against the flow's steps, for each solver, with what they cost, as JSON.

    python benchmarks/flow.py RUN --songs MADE [--voices MADE ...] [--clips 8] [--steps 1,2,4,10,20]
        [--methods euler,...] [--seconds 15] [--set key=value ...] [--no-words] [--keep FOLDER]

Songs, clips, voices and figures are those of benchmarks/quality/convert.py. Each clip is converted to another singer
(`seen`: f0, words, singer) and to its own (`self`: mel distance), once for each solver that the run's objective allows
and each number of steps. Beside it what the model and its decoder, without the features, take for a second of audio:
CPU seconds (median of three on the first clip, one thread) and multiply-accumulates as torch counts them.
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from autosing.config import load_config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.metrics.kept import Kept
from autosing.metrics.meter import Meter
from autosing.metrics.scores import Scores, summary
from autosing.metrics.speed import measure_speed
from autosing.models.svc_flow import SvcFlowVoice
from autosing.nn.cost import count_macs
from autosing.nn.solvers import ODE_METHODS, VP_METHODS, Method, evaluations
from inference.evaluate.cast import Cast, assigned
from inference.evaluate.clips import RATE_HZ, Clip, made_clips, spread
from inference.evaluate.judge import Judge
from inference.evaluate.systems import FromSource
from inference.voice.convert import ConvertConfig
from inference.voice.engine import EngineConfig, Song, render

SEED = {
    "name": "Grad-SVC, main branch",
    "evaluations": 20,
    "gmac_per_s": 369.0,
    "source": "its networks at 491b0b6, counted with untrained weights: encoder 1.06 + 20 x 18.11 + vocoder 5.34",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--voices", type=Path, nargs="*", default=[])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--steps", default="1,2,4,10,20")
    parser.add_argument("--methods", help="by commas; by default all that the objective allows")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--no-words", action="store_true")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    base = load_config(ConvertConfig, given.config, ["key=auto", *given.set])
    with TemporaryDirectory(prefix="autosing-") as folder:
        work = Path(folder)
        own = made_clips(given.songs, given.seconds)
        meter = Meter(Kept(given.keep), RATE_HZ)
        cast = Cast([*(c for more in given.voices for c in made_clips(more, given.seconds)), *own], meter)
        cast.check_all_known()
        clips = spread(own, given.clips)
        judge = Judge(cast, meter, words=not given.no_words)
        usual = FromSource(given.run, base, work)
        objective = usual.model.model.config.flow.objective
        song = usual.song(clips[0], cast.told(clips[0].singer), as_it_is=True)
        rows: list[dict[str, Any]] = []
        for method in given.methods.split(",") if given.methods else solvers(objective):
            for steps in map(int, given.steps.split(",")):
                words = [f"engine.sampling.method={method}", f"engine.sampling.steps={steps}"]
                config = load_config(ConvertConfig, given.config, ["key=auto", *given.set, *words])
                row: dict[str, Any] = {"method": method, "steps": steps}
                try:
                    row |= cost(usual.model, song, config.engine)
                except InputError as error:  # a distilled model knows few of them
                    rows.append(row | {"refused": str(error)})
                    continue
                row["evaluations"] = evaluations(method, steps)
                rows.append(row | quality(clips, cast, judge, FromSource(given.run, config, work)))
                print(f"{method} {steps}: {row}", file=sys.stderr)
    report = {
        "what": "flow", "run": str(given.run), "objective": objective, "clips": len(clips), "config": base.dump(),
        "seed": SEED, "solvers": rows,
    }  # fmt: skip
    print(json.dumps(report, indent=1))


def quality(clips: list[Clip], cast: Cast, judge: Judge, model: FromSource) -> dict[str, Any]:
    """Of each clip converted to another singer, and to its own."""
    scores: dict[str, list[Scores]] = {"seen": [], "self": []}
    for clip, target in zip(clips, assigned(clips, cast.singers, seed_of("seen")), strict=True):
        made = model.sing(clip, cast.told(target))
        scores["seen"].append(judge.scores(clip, made.audio_S, made.asked_hz_T, target, rebuilt=False))
        made = model.sing(clip, cast.told(clip.singer, without=clip.song), as_it_is=True)
        scores["self"].append(judge.scores(clip, made.audio_S, made.asked_hz_T, clip.singer, rebuilt=True))
    return {way: summary(found) for way, found in scores.items()}


def solvers(objective: str) -> tuple[Method, ...]:
    """Those that solve it."""
    return ODE_METHODS + VP_METHODS if objective == "vp" else ODE_METHODS


def cost(model: SvcFlowVoice, song: Song, engine: EngineConfig) -> dict[str, float]:
    """Of model and decoder, for a second of audio."""
    seconds = song.features.duration_s

    def work() -> None:
        for _ in render(model, song, engine):
            pass

    return {
        "cpu_s_per_s": round(measure_speed(work, seconds).rtf, 4),
        "gmac_per_s": round(count_macs(work) / seconds / 1e9, 4),
    }


if __name__ == "__main__":
    main()
