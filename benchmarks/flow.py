"""A conversion run and made songs -> quality against the flow's steps, for each solver, with what they cost, as JSON.

    python benchmarks/flow.py RUN --songs MADE [--voices MADE ...] [--clips 8] [--steps 1,2,4,10,20]
        [--methods euler,...] [--seconds 15] [--set key=value ...] [--no-words] [--keep FILE]

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

sys.path.append(str(Path(__file__).parent / "quality"))
from clips import RATE_HZ, Cast, Clip, assigned, made_clips, spread
from converted import Judge, Scores, summary
from converter import Converter
from listener import Listener

from autosing.audio.io import Audio, save
from autosing.config import load_config
from autosing.errors import InputError
from autosing.ids import seed_of
from autosing.metrics.speed import measure_speed
from autosing.models.svc_flow import SvcFlowVoice, load_svc_flow
from autosing.nn.cost import count_macs
from autosing.nn.solvers import ODE_METHODS, VP_METHODS, Method, evaluations
from inference.voice.convert import ConvertConfig
from inference.voice.engine import EngineConfig, Song, render
from inference.voice.features import Reader

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
    model = load_svc_flow(given.run)
    objective = model.model.config.flow.objective
    with TemporaryDirectory(prefix="autosing-") as folder:
        work = Path(folder)
        own = made_clips(given.songs, given.seconds)
        cast = Cast([*(c for more in given.voices for c in made_clips(more, given.seconds)), *own], work / "voices")
        clips = spread(own, given.clips)
        judge = Judge(cast, None if given.no_words else Listener(given.keep))
        song = heard(model, base, clips[0], cast, work)
        rows: list[dict[str, Any]] = []
        for method in given.methods.split(",") if given.methods else solvers(objective):
            for steps in map(int, given.steps.split(",")):
                words = [f"engine.sampling.method={method}", f"engine.sampling.steps={steps}"]
                config = load_config(ConvertConfig, given.config, ["key=auto", *given.set, *words])
                row: dict[str, Any] = {"method": method, "steps": steps}
                try:
                    row |= cost(model, song, config.engine)
                except InputError as error:  # a distilled model knows few of them
                    rows.append(row | {"refused": str(error)})
                    continue
                row["evaluations"] = evaluations(method, steps)
                rows.append(row | quality(clips, cast, judge, Converter(given.run, config, work)))
                print(f"{method} {steps}: {row}", file=sys.stderr)
    report = {
        "what": "flow", "run": str(given.run), "objective": objective, "clips": len(clips), "config": base.dump(),
        "seed": SEED, "solvers": rows,
    }  # fmt: skip
    print(json.dumps(report, indent=1))


def heard(model: SvcFlowVoice, config: ConvertConfig, clip: Clip, cast: Cast, work: Path) -> Song:
    """What costs are measured on: the clip as its own singer."""
    path = work / "heard.wav"
    save(Audio(clip.audio_S[None], RATE_HZ), path)
    features = Reader(model.content, config.content_files).read(path, work)
    vector_E = cast.told(clip.singer).vector_E
    return Song(features, features.f0_hz_T, lambda _: vector_E)


def quality(clips: list[Clip], cast: Cast, judge: Judge, converter: Converter) -> dict[str, Any]:
    """Of each clip converted to another singer, and to its own."""
    scores: dict[str, list[Scores]] = {"seen": [], "self": []}
    for clip, target in zip(clips, assigned(clips, cast.singers, seed_of("seen")), strict=True):
        made = converter(clip, cast.told(target), "seen")
        scores["seen"].append(judge.scores(clip, made.audio_S, made.asked_hz_T, target, rebuilt=False))
        made = converter(clip, cast.told(clip.singer, without=clip.song), "self", as_it_is=True)
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
