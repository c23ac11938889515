"""A folder of made songs -> how alike a singer's own clips are, and those of two singers, as JSON on stdout.

python benchmarks/quality/singer.py SONGS [--clips 3]
Each song's true vocals are cut into clips; `same` compares clips of one singer from two songs, never from one.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
import torch

from autosing.audio.io import decode
from autosing.models.speaker import load_speaker_encoder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", type=Path)
    parser.add_argument("--clips", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    encoder = load_speaker_encoder()
    clips, seconds, minutes = [], 0.0, 0.0
    for folder in sorted((given.songs / "truth").iterdir()):
        voice = decode(folder / "vocals.flac")
        artist = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["artist"]
        part_s = voice.duration_s / given.clips
        for n in range(given.clips):
            clip = voice.cut(n * part_s, part_s)
            started = time.process_time()
            clips.append((artist, folder.name, encoder.embed(clip.mono_S(), clip.sample_rate_hz)))
            seconds += time.process_time() - started
            minutes += clip.duration_s / 60
    pairs = [(a[0] == b[0], float(a[2] @ b[2])) for a, b in itertools.combinations(clips, 2) if a[1] != b[1]]
    alike = {kind: np.array([score for same, score in pairs if same == kind]) for kind in (True, False)}
    print(
        json.dumps(
            {
                "what": "singer",
                "singers": len({artist for artist, _, _ in clips}),
                "same_mean": round(float(alike[True].mean()), 3),
                "other_mean": round(float(alike[False].mean()), 3),
                "equal_error_rate": round(_equal_error_rate(alike[True], alike[False]), 3),
                "cpu_s_per_minute": round(seconds / minutes, 2),
            },
            indent=1,
        )
    )


def _equal_error_rate(same: np.ndarray, other: np.ndarray) -> float:
    """Where as many pairs of one singer are refused as pairs of two are taken for one."""
    thresholds = np.quantile(np.concatenate([same, other]), np.linspace(0, 1, 501))
    return float(min(max((same < t).mean(), (other >= t).mean()) for t in thresholds))


if __name__ == "__main__":
    main()
