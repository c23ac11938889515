"""Every configuration that comes with the house is one that its command takes."""

from pathlib import Path

import pytest

from autosing.config import load_config
from train.config import TrainConfig
from train.tasks import TASKS, task_class

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted((CONFIGS / "train").glob("*.yaml")), ids=lambda path: path.stem)
def test_training_configs_fit_their_task(path):
    task = next(name for name in TASKS if name in path.stem)
    config = load_config(TrainConfig, path)
    task_class(task).Settings.build(config.task, origin=str(path))


def test_the_pages_name_configs_that_exist():
    pages = [CONFIGS.parent / "README.md", *(CONFIGS.parent / "docs").glob("*.md")]
    words = [word for page in pages for word in page.read_text(encoding="utf-8").split()]
    named = [word for word in words if word.startswith("configs/") and word.endswith(".yaml")]
    assert named
    assert all((CONFIGS.parent / name).is_file() for name in named), named
