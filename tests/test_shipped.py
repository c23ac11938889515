"""Models that come with autosing: found by name wherever a run may be given, and stored in half precision."""

from pathlib import Path

import pytest
import torch

from autosing.checkpoint import WEIGHTS, load_model, located, save_model
from autosing.errors import InputError
from train.ship import ship


def test_a_name_stands_for_the_folder_in_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = located("autosing-letters")
    assert (folder / WEIGHTS).is_file() and located(Path("autosing-letters")) == folder
    assert load_model(Path("autosing-letters"), "letters").kind == "letters"
    for own in ("runs/autosing-letters", "letters", "autosing-nobody"):
        assert located(own) == Path(own)
    with pytest.raises(InputError, match=r"autosing-nobody: no model.safetensors.*autosing-letters.*autosing-semantic"):
        load_model(Path("autosing-nobody"))


def test_what_is_shipped_is_the_model_in_half_precision(tmp_path):
    torch.manual_seed(0)
    state = {"weight": torch.randn(4, 5), "count": torch.tensor(7)}
    save_model(tmp_path / "run", "svc_flow", {"a": 1}, state, {"singers": []})
    assert ship(tmp_path / "run", tmp_path / "out") == 4 * 5 * 2 + 8
    file = load_model(tmp_path / "out", "svc_flow")
    assert (file.config, file.extra) == ({"a": 1}, {"singers": []})
    assert file.state["weight"].dtype == torch.float16 and file.state["count"] == 7
    torch.testing.assert_close(file.state["weight"].float(), state["weight"], rtol=2**-10, atol=0)


def test_a_weight_that_half_precision_cannot_hold_is_refused(tmp_path):
    save_model(tmp_path / "run", "svc_flow", {}, {"weight": torch.tensor([1e6])})
    with pytest.raises(InputError, match="weight holds numbers that half precision cannot"):
        ship(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()
