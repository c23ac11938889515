"""Separate, pitch and semantic on made songs: share of the time in models, speed and memory against plain Ray Data,
what Ray costs on stages that do nothing, and what a long song takes, as JSON.

    python benchmarks/processing.py [--songs 4] [--lines 4] [--corpus CORPUS] [--workers 2] [--rounds 1]
        [--parts share,plain,empty,long] [--long-minutes 180] [--long-separator none|stub]

Ours and plain run in turn, each in a process of its own, on the same songs and models, one thread a worker. Between
separation and the others songs are cut every 20 s, here and there. `plain` is `ray.data.map_batches` with a class for
each model, as its documentation shows. Seconds are from the first song to the last table, without Ray's start-up and
the loading of models; all_seconds are with all. Memory (proportional set size) and CPU seconds are the sums over all
processes, looked at every second: on a machine that does other things too, compare CPU seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

PARTS = Path(__file__).with_name("processing_parts.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=4)
    parser.add_argument("--lines", type=int, default=4)
    parser.add_argument("--corpus", type=Path, help="use these songs and make none")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--parts", default="share,plain,empty,long")
    parser.add_argument("--long-minutes", type=float, default=180)
    parser.add_argument("--long-separator", default="none", choices=["none", "stub"])
    given = parser.parse_args()
    wanted = given.parts.split(",")
    with tempfile.TemporaryDirectory() as folder:
        given.corpus = given.corpus or make_songs(Path(folder) / "songs", given)
        found: dict[str, list[Any]] = {}
        for _ in range(given.rounds):
            for part in [part for part in ("share", "plain", "empty") if part in wanted]:
                found.setdefault(part, []).append(apart(part, given))
        if "long" in wanted:
            minutes = [3.0, given.long_minutes]
            found["long"] = [apart("long", given, "--long-minutes", str(m)) for m in minutes]
    print(json.dumps({"measured": found, **verdict(found)}, indent=1))


def make_songs(out: Path, given: argparse.Namespace) -> Path:
    """One song a partition, so that workers have something to share."""
    from autosing.songs.corpus import make_songs

    make_songs(out, given.songs, seed=3, partitions=given.songs, workers=given.workers, lines=given.lines)
    return out


def apart(part: str, given: argparse.Namespace, *more: str) -> dict[str, Any]:
    """A part in a process of its own, with the peak memory of it and all its children."""
    # -P: the folder of this file must not be searched, it would hide the package `processing`.
    command = [
        sys.executable, "-P", str(PARTS), part, str(given.corpus), "--workers", str(given.workers),
        "--long-separator", given.long_separator, *more,
    ]  # fmt: skip
    path = os.pathsep.join([str(PARTS.parents[1].absolute()), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled", "PYTHONPATH": path}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    peak_kb, cpu_s, over = [0], {}, threading.Event()
    watch = threading.Thread(target=_watch, args=(process.pid, peak_kb, cpu_s, over))
    watch.start()
    out, _ = process.communicate()
    over.set()
    watch.join()
    if process.returncode:
        sys.exit(f"{part}: exit code {process.returncode}")
    said = {"peak_mb_all_processes": round(peak_kb[0] / 1024), "cpu_seconds": round(sum(cpu_s.values()), 1)}
    found = {**json.loads(out.decode().splitlines()[-1]), **said}
    print(part, json.dumps(found), file=sys.stderr)
    return found


def _watch(pid: int, peak_kb: list[int], cpu_s: dict[int, float], over: threading.Event) -> None:
    while not over.wait(1):
        family = _family(pid)
        cpu_s.update(family)
        peak_kb[0] = max(peak_kb[0], sum(_pss_kb(one) for one in family))


def _family(pid: int) -> dict[int, float]:
    """The process and what descends from it, each with its CPU seconds."""
    parents, seconds = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        seconds[int(entry.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return {one: seconds.get(one, 0.0) for one in found}


def _pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def verdict(found: dict[str, list[Any]]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if "share" in found:
        said["in_models"] = [run["in_models"] for run in found["share"]]
    if "share" in found and "plain" in found:
        pairs = list(zip(found["share"], found["plain"], strict=True))
        said["throughput_ratio"] = [round(b["seconds"] / a["seconds"], 2) for a, b in pairs]
        said["throughput_ratio_with_start"] = [round(b["all_seconds"] / a["all_seconds"], 2) for a, b in pairs]
        said["cpu_ratio"] = [round(b["cpu_seconds"] / a["cpu_seconds"], 2) for a, b in pairs]
        said["memory_ratio"] = [
            round(a["peak_mb_all_processes"] / b["peak_mb_all_processes"], 2) for a, b in pairs
        ]  # fmt: skip
    if "share" in found and "empty" in found:
        pairs = list(zip(found["share"], found["empty"], strict=True))
        said["ray_share"] = [round(b["seconds"] / a["seconds"], 4) for a, b in pairs]
    if "long" in found:
        short_mb, long_mb = (run["peak_mb"] for run in found["long"])
        said |= {"long_song_memory_ratio": round(long_mb / short_mb, 2), "long_song_grows_mb": long_mb - short_mb}
    return said


if __name__ == "__main__":
    main()
