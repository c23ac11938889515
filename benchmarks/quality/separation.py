"""A folder of made songs -> how much better the separated voice is than the mix, as JSON on stdout.

python benchmarks/quality/separation.py SONGS [--songs N] [--set separator=demucs ...]
SONGS is what `autosing songs` writes: truth/<id>/{vocals,instrumental}.flac, whose sum is the song.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from autosing.audio.io import Audio, decode
from autosing.config import load_config
from autosing.metrics.separation import sdr_db, si_sdr_db
from autosing.models.separation import split
from processing.stages.separate import Separate, SeparateConfig


def mono(samples_CS: np.ndarray) -> np.ndarray:
    """The voice is in the middle: the two channels say the same, and each costs seconds to score."""
    return samples_CS.mean(axis=0, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", type=Path)
    parser.add_argument("--songs", dest="limit", type=int)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    stage = Separate(load_config(SeparateConfig, None, given.overrides))
    stage.setup()
    rows, seconds, minutes = [], 0.0, 0.0
    for folder in sorted((given.songs / "truth").iterdir())[: given.limit]:
        voice, rest = decode(folder / "vocals.flac"), decode(folder / "instrumental.flac")
        voice_CS = np.broadcast_to(voice.samples_CS, rest.samples_CS.shape)
        mix_CS = voice_CS + rest.samples_CS
        started = time.process_time()
        estimate, _ = split(Audio(mix_CS, voice.sample_rate_hz), stage.vocals_of)
        seconds += time.process_time() - started
        minutes += voice.duration_s / 60
        row: dict[str, float | str] = {"song": folder.name}
        for name, score in (("sdr_db", sdr_db), ("si_sdr_db", si_sdr_db)):
            before, after = (score(mono(voice_CS), mono(x)) for x in (mix_CS, estimate.samples_CS))
            row |= {f"mix_{name}": round(before, 2), name: round(after, 2), f"{name}_gain": round(after - before, 2)}
        rows.append(row)
    means = {key: round(float(np.mean([row[key] for row in rows])), 2) for key in rows[0] if key != "song"}
    print(
        json.dumps(
            {
                "what": "separation",
                "config": stage.config.dump(),
                "mean": means,
                "cpu_s_per_minute": round(seconds / minutes, 2),
                "songs": rows,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
