"""Starting Ray, or joining one: a node that is late, and the process's own handlers of signals."""

import signal
import sys
from types import SimpleNamespace

import pytest

from autosing.cluster import ray_at
from autosing.errors import InputError


def fake_ray(monkeypatch, fails, error):
    """A Ray whose first `fails` starts raise."""
    calls = []

    def init(*args, **options):
        calls.append("init")
        if calls.count("init") <= fails:
            raise error

    made = SimpleNamespace(init=init, shutdown=lambda: calls.append("shutdown"))
    monkeypatch.setitem(sys.modules, "ray", made)
    return calls


def test_a_node_that_is_late_is_started_once_more_then_it_is_said_in_words(monkeypatch, capsys):
    """Under load Ray 2.60 raises the bare Exception where its node is not up within 30 s."""
    late = Exception("The current node timed out during startup. This could happen because ...")
    calls = fake_ray(monkeypatch, 1, late)
    with ray_at("local"):
        assert calls == ["init", "shutdown", "init"]
    assert calls[-1] == "shutdown" and "trying once more" in capsys.readouterr().err
    fake_ray(monkeypatch, 2, late)
    with pytest.raises(InputError, match=r"within 30 s, twice.*--address inline"), ray_at("local"):
        pass
    fake_ray(monkeypatch, 1, Exception("something else"))
    with pytest.raises(Exception, match=r"^something else$"), ray_at("local"):
        pass
    fake_ray(monkeypatch, 1, RuntimeError("timed out during startup"))
    with pytest.raises(RuntimeError), ray_at("local"):
        pass


def test_joining_keeps_the_handler_of_sigterm(monkeypatch):
    calls = fake_ray(monkeypatch, 0, None)
    init = sys.modules["ray"].init

    def greedy(*args, **options):
        signal.signal(signal.SIGTERM, lambda *_: None)
        init()

    sys.modules["ray"].init = greedy
    before = signal.getsignal(signal.SIGTERM)
    with ray_at("local"):
        assert signal.getsignal(signal.SIGTERM) is before and calls == ["init"]
