"""Work in processes: order, early end, and a caller that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from autosing.processes import in_processes

PROGRAM = """
import sys
from autosing.processes import in_processes
from tests.test_processes import slow_item
if __name__ == "__main__":
    list(in_processes(slow_item, [sys.argv[1]] * 2, 2, "items"))
"""


def squared(number: int) -> int:
    return number**2


def slow_item(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    time.sleep(120)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_results_come_in_the_order_of_the_items() -> None:
    for workers in (1, 3):
        assert list(in_processes(squared, range(7), workers, "numbers")) == [n**2 for n in range(7)]


def test_where_the_caller_is_killed_nobody_works_on(tmp_path: Path) -> None:
    began, script = tmp_path / "began", tmp_path / "program.py"
    began.mkdir()
    script.write_text(PROGRAM)
    home = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    caller = subprocess.Popen([sys.executable, str(script), str(began)], env=home)
    try:
        until_s = time.monotonic() + 60
        while len(list(began.iterdir())) < 2 and time.monotonic() < until_s:
            time.sleep(0.05)
    finally:
        caller.send_signal(signal.SIGKILL)
        caller.wait()
    pids = [int(path.name) for path in began.iterdir()]
    assert len(pids) == 2
    until_s = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not any(map(alive, pids))
