"""CPU seconds a step of t2s and sm2a: keys and values of the conditions cached, against recomputed at each step.

    python benchmarks/generation.py [--sizes tiny,base] [--threads 2] [--out FILE]

Untrained weights of AutoSing's sizes, fp32, one candidate, 30 s: 750 semantic steps after 900 bytes and 632 columns of
accompaniment, 2528 acoustic columns after 750 semantic codes and 632 columns. `cached` runs all steps. `recomputed` is
AutoSing's way (its own past cached, the conditions' keys and values computed again at each step): some steps at the
start, the middle and the end are timed, in turn with as many cached ones, and scaled to all. Prints JSON.
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Large pages, where the system gives them: a step streams all weights, and small pages cost it a tenth.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import numpy as np
import torch

from autosing.codecs.spec import CodecSpec
from autosing.generation.acoustic import generate_acoustic
from autosing.generation.incremental import Keep
from autosing.generation.sampling import Sampling
from autosing.generation.semantic import generate_semantic
from autosing.models.conditions import crop_blocks
from autosing.models.presets import SHAPES
from autosing.models.sm2a import SM2A, SM2AConfig
from autosing.models.t2s import T2S, T2SConfig
from autosing.text.tokenizer import TimedText

SPEC = CodecSpec(
    name="snac-32khz", sample_rate_hz=32000, hop_samples=384, strides=(8, 4, 2, 1), codebook_sizes=(4096,) * 4
)
SEMANTIC_CODES, BLOCKS, BYTES = 750, 312, 900
DURATION_S = BLOCKS * SPEC.block_samples / SPEC.sample_rate_hz
AUTOSING_SM2A_CPU_S = {"tiny": 0.088, "base": 0.201}
"""AutoSing's own code, fp32, 2 threads: CPU seconds a step, measured once on a machine of this kind."""
SAMPLING = Sampling(temperature=1.0, stop_at_eos=False)

Run = Callable[[Keep, float, float, Callable[[int, int], None]], Any]
"""(keep, how far in to begin as a share of the song, length of the conditions as a share, progress) -> codes."""


class _Enough(Exception):
    """As many steps are timed as were wanted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="tiny,base", help="AutoSing's sizes, by commas")
    parser.add_argument("--threads", type=int, default=2, help="as many as torch may use; small models use one")
    parser.add_argument("--steps", type=int, default=8, help="steps timed at each place, of either way")
    parser.add_argument("--out", type=Path, help="write the JSON here as well")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    report: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(), "torch": torch.__version__, "dtype": "float32",
        "threads": asked.threads, "load_before": os.getloadavg(), "sizes": {},
    }  # fmt: skip
    for size in asked.sizes.split(","):
        report["sizes"][size] = {
            "t2s": measured(semantic_run(size), SEMANTIC_CODES, asked.steps),
            "sm2a": measured(acoustic_run(size), 8 * BLOCKS + 32, asked.steps),
        }
        cached = report["sizes"][size]["sm2a"]["cached"]["cpu_s_per_step"]
        if size in AUTOSING_SM2A_CPU_S:
            report["sizes"][size]["sm2a"]["autosing_cpu_s_per_step"] = AUTOSING_SM2A_CPU_S[size]
            report["sizes"][size]["sm2a"]["times_less_than_autosing"] = round(AUTOSING_SM2A_CPU_S[size] / cached, 1)
    report["load_after"] = os.getloadavg()
    text = json.dumps(report, indent=1)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def semantic_run(size: str) -> Run:
    """t2s of this size: 900 bytes and 30 s of accompaniment at most."""
    torch.manual_seed(0)
    config = T2SConfig(shape=SHAPES[size], semantic_size=2048, codec=SPEC)
    model = T2S(config, torch.randn(2048, 64)).eval().requires_grad_(False)
    prompt, music = np.random.default_rng(0).integers(0, 2048, SEMANTIC_CODES), _levels()

    def run(keep: Keep, begin: float, conditions: float, progress: Callable[[int, int], None]) -> Any:
        lyrics = TimedText.plain(("la" * 8 + " ") * round(BYTES * conditions / 17))
        heard = crop_blocks(music, SPEC, 0, round(BLOCKS * conditions))
        return generate_semantic(
            model, lyrics, heard, None, 30.0, SAMPLING, prompt=prompt[: round(SEMANTIC_CODES * begin)], keep=keep,
            progress=progress,
        )  # fmt: skip

    return run


def acoustic_run(size: str) -> Run:
    """sm2a of this size, in fine columns: 750 semantic codes and 30 s of accompaniment at most."""
    torch.manual_seed(0)
    config = SM2AConfig(shape=SHAPES[size], semantic_size=2048, codec=SPEC)
    model = SM2A(config, torch.randn(2048, 64)).eval().requires_grad_(False)
    codes, music, sung = np.random.default_rng(0).integers(0, 2048, SEMANTIC_CODES), _levels(), _levels()

    def run(keep: Keep, begin: float, conditions: float, progress: Callable[[int, int], None]) -> Any:
        heard = crop_blocks(music, SPEC, 0, round(BLOCKS * conditions))
        # Few codes sing for a short while only, so a short condition is one that repeats nothing: it is just shorter.
        told = codes[: round(SEMANTIC_CODES * conditions)]
        prompt = crop_blocks(sung, SPEC, 0, round(BLOCKS * begin)) if begin else None
        return generate_acoustic(
            model, [told], heard, None, DURATION_S, SAMPLING, prompt=prompt, keep=keep, progress=progress
        )

    return run


def measured(run: Run, steps: int, timed: int) -> dict[str, Any]:
    """Both ways, in turn, at three places and for short and long conditions; then all steps, cached."""
    places = (0.0, 0.5, 0.95)
    ways: tuple[Keep, ...] = ("all", "past")
    per_place = {way: [] for way in ways}  # type: dict[Keep, list[float]]
    for place in places:
        for way in ways:
            per_place[way].append(statistics.mean(step_costs(run, way, place, 1.0, timed)[0]))
    by_length = {}
    for name, share in (("short", 0.1), ("long", 1.0)):
        by_length[name] = {way: statistics.median(step_costs(run, way, 0.0, share, timed)[0]) for way in ways}
    costs, wall_s, total_s = step_costs(run, "all", 0.0, 1.0, steps)
    recomputed = statistics.mean(per_place["past"])
    cached = statistics.mean(costs)
    return {
        "steps": steps,
        "cached": {
            "cpu_s_per_step": round(cached, 5), "wall_s_per_step": round(wall_s, 5), "cpu_s_in_all": round(total_s, 2),
        },
        "recomputed": {
            "cpu_s_per_step": round(recomputed, 5), "cpu_s_in_all": round(recomputed * steps, 2),
            "how": f"{timed} steps timed at each of {places} of the way, scaled to {steps}",
        },
        "times_less_than_recomputed": round(recomputed / cached, 1),
        "at_the_same_places_cpu_s_per_step": {
            "cached": [round(x, 5) for x in per_place["all"]], "recomputed": [round(x, 5) for x in per_place["past"]],
        },
        "conditions_cpu_s_per_step": {
            name: {"cached": round(cost["all"], 5), "recomputed": round(cost["past"], 5)}
            for name, cost in by_length.items()
        },
    }  # fmt: skip


def step_costs(run: Run, keep: Keep, begin: float, conditions: float, steps: int) -> tuple[list[float], float, float]:
    """-> (CPU seconds of each step but the first, wall seconds a step, CPU seconds in all, encoders included)."""
    marks: list[tuple[float, float]] = []

    def progress(_done: int, _total: int) -> None:
        marks.append((time.process_time(), time.perf_counter()))
        if len(marks) > steps:
            raise _Enough

    start_s = time.process_time()
    with contextlib.suppress(_Enough):
        run(keep, begin, conditions, progress)
    costs = [later[0] - earlier[0] for earlier, later in itertools.pairwise(marks)]
    return costs, (marks[-1][1] - marks[0][1]) / len(costs), time.process_time() - start_s


def _levels() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 4096, BLOCKS * SPEC.block_frames // stride) for stride in SPEC.strides]


if __name__ == "__main__":
    main()
