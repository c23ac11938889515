"""python -m train.letters DATASET [--windows N] [--songs CORPUS] [--clips DATASET] [--copies N] [--seed N]

Make a dataset that `autosing train ctc_head --data DATASET` takes; see train.letters.dataset.
"""

import argparse
from pathlib import Path

from autosing import console
from train.letters.dataset import LettersConfig, make_letters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    for name in ("windows", "copies", "seed"):
        parser.add_argument(f"--{name}", type=int, default=LettersConfig.model_fields[name].default)
    for name in ("songs", "clips"):
        parser.add_argument(f"--{name}", action="append", default=[])
    given = vars(parser.parse_args())
    dataset = given.pop("dataset")
    index = make_letters(dataset, LettersConfig.build(given))
    rows = [
        {"split": name, "clips": split.rows, "minutes": round(split.seconds / 60, 2), "shards": len(split.shards)}
        for name, split in index.splits.items()
    ]
    console.summary(
        f"letters {dataset}",
        rows,
        False,
        next=console.command("train", "ctc_head", "--data", dataset, "--run", "runs/letters"),
    )


if __name__ == "__main__":
    main()
