"""python -m train.letters OUT [--windows 400] [--set key=value]: make windows, fit the head, write it."""

import argparse
from pathlib import Path

import torch

from autosing.config import load_config
from autosing.models.letters import save_letters
from train.letters.fit import FitConfig, fit
from train.letters.states import hear_windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--windows", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    given = parser.parse_args()
    config = load_config(FitConfig, None, given.overrides)
    head, log_prior_L = fit(hear_windows(given.out / "windows", given.seed, given.windows), config)
    made = {"windows": given.windows, "seed": given.seed, "fit": config.dump()}
    save_letters(given.out, head, torch.from_numpy(log_prior_L), made)


if __name__ == "__main__":
    main()
