"""Words of commands -> jobs: one runs at a time, in a process apart that can be killed; the others wait.

A job has a folder for what it writes, and one for what it reads and what is temporary, which goes when the job ends;
if the page's process is killed, when the next job begins. Of a job that failed or was cancelled nothing is left.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from autosing.console import command
from autosing.errors import InputError
from autosing.storage.store import attempt

State = Literal["waiting", "running", "done", "failed", "cancelled"]
PROGRAM = (sys.executable, "-P", "-m", "inference.ui.worker")
PICTURE = "picture.html"
_SAID = "autosing: "
_KEPT_LINES = 40


@dataclass
class Job:
    """One command and what became of it."""

    number: int
    form: str
    folder: Path
    inputs: Path
    held: ExitStack
    """Keeps `inputs`."""
    words: Sequence[str] = ()
    sound: Path | None = None
    """What it is to write; None where it writes none."""
    about: str = ""
    state: State = "waiting"
    lines: list[str] = field(default_factory=list)
    """The last of what it said on the way."""
    error: str = ""
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    began: float = 0.0
    seconds: float = 0.0

    @property
    def files(self) -> list[str]:
        """Names of what it wrote, the sound first."""
        if self.state != "done" or not self.folder.is_dir():
            return []
        names = sorted(path.name for path in self.folder.iterdir() if path.is_file() and path.name != PICTURE)
        return sorted(names, key=lambda name: self.sound is None or name != self.sound.name)

    def shown(self) -> dict[str, Any]:
        """For the page."""
        seconds = time.monotonic() - self.began if self.state == "running" else self.seconds
        return {
            "number": self.number, "form": self.form, "about": self.about, "state": self.state, "error": self.error,
            "said": self.lines[-1] if self.lines else "", "seconds": round(seconds, 1), "rows": self.rows,
            "files": self.files, "picture": self.state == "done" and (self.folder / PICTURE).is_file(),
            "command": command(*self.words),
        }  # fmt: skip


class Jobs:
    """All jobs since the page was started. Lives in one event loop."""

    def __init__(self, folder: Path, program: Sequence[str] = PROGRAM, most_waiting: int = 20) -> None:
        self.folder, self._program, self._most_waiting = folder, program, most_waiting
        self._jobs: dict[int, Job] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._more = asyncio.Event()

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def new(self, form: str) -> Job:
        """A job with its folders, which does not wait yet. Raises InputError where too many wait."""
        if sum(job.state == "waiting" for job in self) >= self._most_waiting:
            raise InputError(f"{self._most_waiting} jobs wait already; cancel one, or wait")
        taken = [int(path.name.split("-")[0]) for path in self.folder.glob("*-*") if path.name.split("-")[0].isdigit()]
        number = max([*self._jobs, *taken, 0]) + 1
        held, folder = ExitStack(), self.folder / f"{number}-{form}"
        inputs = held.enter_context(attempt(folder))
        folder.mkdir()
        return Job(number, form, folder, inputs, held)

    def add(self, job: Job) -> None:
        """It waits for its turn."""
        self._jobs[job.number] = job
        self._more.set()

    def find(self, number: int) -> Job:
        """Raises InputError where there is none."""
        if number not in self._jobs:
            raise InputError(f"no job {number}")
        return self._jobs[number]

    def cancel(self, job: Job) -> None:
        """Kill it, or take it from those that wait. One that has ended stays as it is."""
        if job.state == "running":
            job.state = "cancelled"
            self._kill()
        elif job.state == "waiting":
            job.state = "cancelled"
            clear(job)

    async def work(self) -> None:
        """Run what waits, for ever. When it is stopped, the job that runs is cancelled."""
        try:
            while True:
                job = next((job for job in self if job.state == "waiting"), None)
                if job is None:
                    self._more.clear()
                    await self._more.wait()
                else:
                    await self._run(job)
        finally:
            for job in self:
                self.cancel(job)
            if self._process is not None:
                await self._process.wait()
            for job in self:
                clear(job)

    async def _run(self, job: Job) -> None:
        job.state, job.began = "running", time.monotonic()
        # Its temporary files go with its inputs, also when it is killed.
        self._process = await asyncio.create_subprocess_exec(
            *self._program, str(job.sound or ""), *job.words, start_new_session=True, limit=1 << 20,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(job.inputs.absolute())},
        )  # fmt: skip
        if job.state != "running":  # cancelled while it was started
            self._kill()
        assert self._process.stdout and self._process.stderr
        said, _ = await asyncio.gather(self._process.stdout.read(), _listen(job, self._process.stderr))
        code = await self._process.wait()
        job.seconds = time.monotonic() - job.began
        if job.state == "running":
            _end(job, code, said)
        clear(job)

    def _kill(self) -> None:
        """The process and those that it started."""
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)


def clear(job: Job) -> None:
    """What it read goes; and what it wrote, unless it is done."""
    job.held.close()
    if not job.files:
        shutil.rmtree(job.folder, ignore_errors=True)


async def _listen(job: Job, stream: asyncio.StreamReader) -> None:
    async for line in stream:
        text = line.decode(errors="replace").rstrip()
        if text:
            job.lines = [*job.lines, text][-_KEPT_LINES:]


def _end(job: Job, code: int, said: bytes) -> None:
    if code == 0:
        job.state = "done"
        job.rows = json.loads(said)["rows"]
        return
    job.state = "failed"
    told = [line.removeprefix(_SAID) for line in job.lines if line.startswith(_SAID)]
    last = job.lines[-1] if job.lines else "it said nothing"
    job.error = told[-1] if told else f"the command ended with exit code {code}: {last}"
