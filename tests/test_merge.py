"""`autosing merge`: means of weights, checked key by key."""

import json
import sys

import pytest
import torch

from autosing.checkpoint import load_model, save_model
from autosing.cli import main
from autosing.errors import InputError
from inference.merge import merge


@pytest.fixture
def runs(tmp_path):
    for number, name in enumerate(("a", "b", "c")):
        torch.manual_seed(number)
        state = {"w": torch.randn(3, 4), "half": torch.randn(5).half(), "count": torch.tensor(number)}
        save_model(tmp_path / name, "svc_vits", {"width": 4}, state, {"singers": [name]})
    return tmp_path


def test_the_first_at_rate_one_comes_out_as_it_is(runs):
    merge([runs / "a", runs / "b"], runs / "out", [1, 0])
    first, out = load_model(runs / "a"), load_model(runs / "out")
    assert (out.kind, out.config) == (first.kind, first.config)
    assert all(torch.equal(out.state[name], tensor) for name, tensor in first.state.items())
    merge([runs / "a", runs / "b"], runs / "out", [0, 3])
    assert torch.equal(load_model(runs / "out").state["w"], load_model(runs / "b").state["w"])


def test_weights_are_means_whatever_their_sum(runs):
    a, b, c = (load_model(runs / name).state for name in "abc")
    merge([runs / "a", runs / "b", runs / "c"], runs / "out", [2, 1, 1])
    out = load_model(runs / "out").state
    torch.testing.assert_close(out["w"], 0.5 * a["w"] + 0.25 * b["w"] + 0.25 * c["w"])
    assert out["half"].dtype == torch.float16 and int(out["count"]) == 0
    merge([runs / "a", runs / "b"], runs / "equal")
    torch.testing.assert_close(load_model(runs / "equal").state["w"], (a["w"] + b["w"]) / 2)


def test_what_is_not_a_number_in_a_model_of_no_weight_is_not_spread(runs):
    state = load_model(runs / "b").state
    save_model(runs / "bad", "svc_vits", {"width": 4}, {**state, "w": torch.full((3, 4), float("nan"))})
    merge([runs / "a", runs / "bad"], runs / "out", [1, 0])
    assert load_model(runs / "out").state["w"].isfinite().all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "svc_flow"}, "need svc_vits"),
        ({"config": {"width": 5}}, "width is 4"),
        ({"state": {"w": torch.zeros(3, 4), "half": torch.zeros(5).half()}}, "count is not in both"),
        ({"state": {"w": torch.zeros(3, 5), "half": torch.zeros(5).half(), "count": torch.tensor(1)}}, "w is not in"),
    ],
)
def test_models_that_do_not_fit_are_refused(runs, change, says):
    known = load_model(runs / "b")
    values = {"kind": known.kind, "config": known.config, "state": known.state, **change}
    save_model(runs / "other", values["kind"], values["config"], values["state"])
    with pytest.raises(InputError, match=says):
        merge([runs / "a", runs / "other"], runs / "out")
    assert not (runs / "out").exists()


@pytest.mark.parametrize(
    ("names", "weights", "says"),
    [("a", [], "two or more"), ("ab", [1], "one each"), ("ab", [0, 0], "one above 0"), ("ab", [2, -1], "0 or more")],
)
def test_weights_that_mean_nothing_are_refused(runs, names, weights, says):
    with pytest.raises(InputError, match=says):
        merge([runs / name for name in names], runs / "out", weights)


def test_a_foreign_model_is_not_replaced_and_our_own_is(runs, monkeypatch, capsys):
    with pytest.raises(InputError, match="did not write"):
        merge([runs / "a", runs / "b"], runs / "c")
    with pytest.raises(InputError, match="one of the runs"):
        merge([runs / "a", runs / "b"], runs / "b")
    for _ in range(2):
        words = [
            "autosing",
            "merge",
            str(runs / "a"),
            str(runs / "b"),
            "--weights",
            "0.7,0.3",
            "--out",
            str(runs / "o"),
        ]
        monkeypatch.setattr(sys, "argv", [*words, "--json"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
        assert json.loads(capsys.readouterr().out)["rows"][0]["tensors"] == 3
