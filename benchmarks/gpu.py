"""One card -> what it makes of training, decoding, converting and hearing, as JSON on stdout, within 8 minutes.

    python benchmarks/gpu.py [--device auto] [--parts train,decode,convert,features] [--budget-s 480] [--no-compile]
        [--tiny] [--out FILE]

It needs the packages of this repository and nothing else: clips and weights are made. What would need fetched weights,
or a package that is not there, is left out and says why; so does what would begin after the budget.

train     every task's step in bf16, eager and with its layers compiled: seconds, TFLOP/s, model FLOP utilisation (mfu:
          of the maker's figure, where the card is known; of_measured: of a large product on this very card)
decode    a step of t2s and sm2a: the library's loop, and one CUDA graph a step; whether their codes are the same, and
          the share of the bandwidth that the step's reads make use of
convert   the real-time factor of a conversion by svc_flow, with and without hearing the source
features  separation, pitch, singer, content, codec: hours of audio an hour

No card was at hand when this was written: it ran on a CPU with --tiny alone (tests/test_benchmark_gpu.py), and what
runs only on a card, the capture of graphs first of all, has never run. No figure of a card is claimed anywhere.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # `support` is not installed
from gpu_clock import roofs
from gpu_decode import decoding
from gpu_hear import converting, hearing
from gpu_train import CASES, TINY, Case, training

from autosing.device import device_here
from autosing.errors import InputError
from train.tasks import TASKS

PARTS = ("train", "decode", "convert", "features")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--budget-s", type=float, default=480.0)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    parser.add_argument("--tiny", action="store_true", help="sizes for a CPU's seconds")
    parser.add_argument("--tasks", help="by commas; by default all")
    parser.add_argument("--out", type=Path, help="write the JSON here as well, after each part")
    given = parser.parse_args()
    device = device_here(given.device)
    ends_s = time.monotonic() + given.budget_s
    report: dict[str, Any] = {"what": "gpu", "torch": torch.__version__, "tiny": given.tiny}
    report["roofs"] = roofs(device, given.tiny)
    with TemporaryDirectory(prefix="autosing-") as folder:
        for name, work in jobs(given, device, Path(folder)).items():
            part, _, detail = name.partition("/")
            found = attempted(work, ends_s)
            if part in ("train", "decode"):
                report.setdefault(part, {})[detail] = with_shares(found, report["roofs"])
            else:
                report[part] = found
            print(f"{name}: {json.dumps(found)}", file=sys.stderr)
            if given.out:
                given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            if device == "cuda":
                torch.cuda.empty_cache()
    print(json.dumps(report, indent=1))


def jobs(given: argparse.Namespace, device: str, work: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """Name -> work, in order."""
    tiny, wanted = given.tiny, given.parts.split(",")
    if unknown := sorted(set(wanted) - set(PARTS)):
        raise InputError(f"--parts {unknown[0]}: need some of {', '.join(PARTS)}")
    at_least_s, backend = (0.01 if tiny else 2.0), (None if given.no_compile else given.backend)
    found: dict[str, Callable[[], dict[str, Any]]] = {}
    if "decode" in wanted:
        size, seconds, candidates = ("debug", 1.0, 2) if tiny else ("small", 30.0, 1)
        for kind in ("t2s", "sm2a"):
            found[f"decode/{kind}"] = lambda kind=kind: decoding(kind, size, seconds, candidates, device)
    if "convert" in wanted:
        found["convert"] = lambda: converting(1.0 if tiny else 60.0, device, at_least_s, work, tiny)
    if "features" in wanted:
        found["features"] = lambda: hearing(1.0 if tiny else 60.0, device, at_least_s, work, tiny)
    if "train" in wanted:
        cases, usual = (TINY, Case(batch=2, clip_s=2.0)) if tiny else (CASES, Case())
        for name in given.tasks.split(",") if given.tasks else TASKS:
            case = cases.get(name, usual)
            found[f"train/{name}"] = lambda name=name, case=case: training(name, case, device, at_least_s, backend)
    return found


def attempted(work: Callable[[], dict[str, Any]], ends_s: float) -> dict[str, Any]:
    """What is found, or why not: one part that cannot run must not cost the others."""
    if time.monotonic() > ends_s:
        return {"skipped": "no time is left; give a larger --budget-s"}
    try:
        return work()
    except (InputError, ImportError, torch.OutOfMemoryError) as error:
        return {"skipped": f"{type(error).__name__}: {error}"}


def with_shares(found: dict[str, Any], roof: Mapping[str, float]) -> dict[str, Any]:
    """The same with its shares of what the device can do."""
    for taken in (found.get(way) for way in ("eager", "compiled")):
        if taken:
            taken["of_measured"] = taken["tflops"] / roof["measured_tflops"]
            if "datasheet_tflops" in roof:
                taken["mfu"] = taken["tflops"] / roof["datasheet_tflops"]
    if "read_gb_per_s" in found:
        found["of_bandwidth"] = found["read_gb_per_s"] / roof.get("datasheet_gb_per_s", roof["measured_gb_per_s"])
    return found


if __name__ == "__main__":
    main()
