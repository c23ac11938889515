"""Every task trains in bf16, on any device: what must not be rounded so far is computed in fp32."""

import math

import pytest
import torch

from support.datasets import GROUPS_MADE, make_dataset
from tests.test_ctc_head import SpellingEars, spelt_states
from tests.test_refiner import REFINER
from tests.test_train_codec import SMALL
from tests.test_train_sts import SMALL as STS
from tests.test_train_svc_vits import VITS
from tests.test_train_visinger import SMALL as VISINGER
from tests.test_train_voice import SVC, VOCODER
from train import launch
from train.record import read_metrics
from train.tasks import TASKS
from train.tasks.semantic import TrainSemantic

SINGING = ["task.size=debug", "task.semantic=null"]
WORDS = {
    "codec": [*SMALL, "task.unquantised_steps=1", "task.crop_blocks=8", "task.reservoir_clips=16"],
    "semantic": ["task.statistics_steps=1", "task.crop_codes=25", "task.model.codes=16", "task.reservoir=64"],
    "t2s": SINGING,
    "sm2a": SINGING,
    "vocoder": VOCODER,
    "svc_flow": SVC,
    "svc_vits": VITS,
    "refiner": REFINER,
    "visinger": VISINGER,
    "sts": STS,
    "ctc_head": ["task.hidden=8", "task.even_steps=1", "task.place_every=1"],
}


@pytest.fixture
def hearing(monkeypatch):
    """Stands for Whisper's encoder."""
    generator = torch.Generator().manual_seed(0)
    weight_ES = torch.randn(512, 640, generator=generator)
    init = TrainSemantic.__init__

    def with_ears(self, config, index):
        init(self, config, index)
        self.encode = lambda audio_BS: audio_BS.unflatten(1, (-1, 640)) @ weight_ES.mT

    monkeypatch.setattr(TrainSemantic, "__init__", with_ears)
    monkeypatch.setattr("train.tasks.ctc_head.load_encoder", lambda name, device="cpu": SpellingEars())
    monkeypatch.setattr("train.tasks.ctc_head.letter_states", spelt_states)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_trains_in_bf16(task, tmp_path, hearing):
    make_dataset(tmp_path / "data", groups=(*GROUPS_MADE, "loudness", "content", "score", "speech"))
    words = list(WORDS[task])
    if task == "refiner":
        base = tmp_path / "base"
        launch.train("svc_vits", tmp_path / "data", base, overrides=[*VITS, "steps=1", "save_every=1", "device=cpu"])
        words.append(f"task.base={base}")
    words = [*words, "steps=3", "batch_size=4", "precision=bf16", "device=cpu", "log_every=1", "valid_every=3"]
    launch.train(task, tmp_path / "data", tmp_path / "run", overrides=words)
    rows = [row for row in read_metrics(tmp_path / "run") if "refused" in row]
    losses = [value for row in rows for name, value in row.items() if name.endswith("loss")]
    assert len(rows) == 3 and losses and all(map(math.isfinite, losses)) and not any(row["refused"] for row in rows)
