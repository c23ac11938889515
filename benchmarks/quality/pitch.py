"""A folder of made songs -> how well f0 is tracked on the true vocals, as JSON on stdout.

python benchmarks/quality/pitch.py SONGS [--tracker fcpe] [--stem vocals] [--songs N]
SONGS is what `autosing songs` writes. `vocals` sing in a room, whose echoes sound where the score is silent (they
count as false alarms); `vocals_dry` do not.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from autosing.audio.io import decode
from autosing.audio.pitch import load_tracker
from autosing.metrics.pitch import pitch_scores
from autosing.songs import F0_RATE_HZ
from autosing.timebase import PITCH_RATE_HZ


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", type=Path)
    parser.add_argument("--tracker", default="fcpe")
    parser.add_argument("--stem", default="vocals")
    parser.add_argument("--songs", dest="limit", type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    track = load_tracker(given.tracker)
    rows, seconds, minutes = [], 0.0, 0.0
    for folder in sorted((given.songs / "truth").iterdir())[: given.limit]:
        voice = decode(folder / f"{given.stem}.flac")
        started = time.process_time()
        f0_hz_T = track(voice.mono_S(), voice.sample_rate_hz)
        seconds += time.process_time() - started
        minutes += voice.duration_s / 60
        rows.append(
            pitch_scores(np.load(folder / "f0.npy"), F0_RATE_HZ, f0_hz_T, PITCH_RATE_HZ) | {"song": folder.name}
        )
    scores = [key for key in rows[0] if key != "song"]
    print(
        json.dumps(
            {
                "what": "pitch",
                "tracker": given.tracker,
                "stem": given.stem,
                "mean": {key: round(float(np.mean([row[key] for row in rows])), 4) for key in scores},
                "worst_accuracy": round(min(row["accuracy"] for row in rows), 4),
                "cpu_s_per_minute": round(seconds / minutes, 2),
                "songs": rows,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
