"""`autosing ui`: only this computer is let in, one job runs at a time, what is cancelled leaves nothing."""

import asyncio
import json
import re
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, FormData
from aiohttp.test_utils import TestClient, TestServer

from autosing.audio.io import Audio, save
from autosing.cli import loaded
from autosing.errors import InputError
from inference.ui import server
from inference.ui.asked import Filled, words_of
from inference.ui.forms import FORMS, UPLOADS
from inference.ui.jobs import PROGRAM, Jobs
from inference.ui.server import Settings, application
from inference.ui.uploads import Limits
from inference.voice.pitch import Range
from inference.voice.singers import Voice

TAKES_LONG = """
import pathlib, subprocess, sys, time
folder = pathlib.Path(sys.argv[1]).parent
(folder / "half.wav").write_bytes(b"RIFF")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("at work", child.pid, file=sys.stderr, flush=True)
time.sleep(600)
"""
SAYS_WHEN = """
import pathlib, sys, time
began = time.monotonic()
time.sleep(0.3)
pathlib.Path(sys.argv[1]).write_bytes(b"RIFF")
print('{"rows": [{"span": [%r, %r]}]}' % (began, time.monotonic()))
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """Two voices are enrolled."""
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("inference.voice.singers.home", lambda: tmp_path / "home")
    folder = tmp_path / "home" / "voices"
    folder.mkdir(parents=True)
    for number, name in enumerate(("anna", "bert")):
        voice = Voice(name, tuple(np.eye(256)[number].tolist()), Range(180.0, 260.0, 400.0), 9.0, (), "said so")
        (folder / f"{name}.json").write_text(json.dumps(asdict(voice)))
    return tmp_path / "home"


@asynccontextmanager
async def served(
    folder: Path, program: Sequence[str] = PROGRAM, limits: Limits | None = None
) -> AsyncIterator[TestClient]:
    app = application(Jobs(folder / "out", program, most_waiting=3), Settings(folder / "runs", limits or Limits()))
    async with TestClient(TestServer(app, host="127.0.0.1")) as client:
        yield client


async def send(client: TestClient, form: str, code: int = 201, **fields: Any) -> dict[str, Any]:
    data = FormData(default_to_multipart=True)
    for name, value in fields.items():
        if isinstance(value, Path):
            data.add_field(name, value.read_bytes(), filename=value.name)
        else:
            data.add_field(name, value)
    async with client.post(f"/jobs/{form}", data=data) as answer:
        said = await answer.json()
        assert answer.status == code, said
        return said


async def until(client: TestClient, number: int, *states: str, said: str = "") -> dict[str, Any]:
    for _ in range(6000):
        async with client.get("/jobs") as answer:
            job = next(job for job in await answer.json() if job["number"] == number)
        if job["state"] in states and said in job["said"]:
            return job
        await asyncio.sleep(0.02)
    raise AssertionError(job)


def tone(path: Path, seconds: float) -> Path:
    save(Audio(0.3 * np.sin(np.arange(round(seconds * 8000)) * 0.2)[None].astype(np.float32), 8000), path)
    return path


def other_addresses() -> list[str]:
    """Of this machine, but not the one that is listened to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, suppress(OSError):
        asked.connect(("192.0.2.1", 9))  # nothing is sent
        return ["127.0.0.2", asked.getsockname()[0]]
    return ["127.0.0.2"]


def test_only_the_loopback_address_is_listened_to(tmp_path):
    async def look() -> None:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(server._serve(tmp_path, 0, Settings(tmp_path, Limits()), ready.set_result))
        address = await ready
        port = int(address.rstrip("/").rpartition(":")[2])
        async with ClientSession() as session, session.get(address) as answer:
            assert answer.status == 200 and "autosing" in await answer.text()
        for other in other_addresses():
            with pytest.raises(OSError):
                await asyncio.open_connection(other, port)
        with pytest.raises(InputError, match=rf"--port {port}: .*give another, or 0"):
            await server._serve(tmp_path, port, Settings(tmp_path, Limits()), print)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(look())


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example:80"}, {"Origin": "http://evil.example"},
     {"Origin": "null"}],
)  # fmt: skip
def test_other_sites_that_are_open_in_the_browser_are_refused(tmp_path, headers):
    async def look() -> None:
        async with served(tmp_path, (sys.executable, "-c", SAYS_WHEN)) as client:
            for method, path in (("GET", "/"), ("GET", "/jobs"), ("POST", "/jobs/mix"), ("DELETE", "/jobs/1")):
                async with client.request(method, path, headers=headers, data=b"") as answer:
                    assert answer.status == 403, (method, path)
            await send(client, "render", lyrics="a river")  # and nothing else has begun
            async with client.get("/jobs") as answer:
                assert len(await answer.json()) == 1

    asyncio.run(look())


def test_the_page_asks_for_nothing_from_elsewhere(tmp_path):
    async def look() -> None:
        async with served(tmp_path) as client:
            for path in ("/", "/ui.js", "/ui.css", "/report.js", "/report.css"):
                async with client.get(path) as answer:
                    assert answer.status == 200
                    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                    assert not re.findall(r"(?:https?:)?//[\w.]+\.\w+", await answer.text()), path
            for path in ("/server.py", "/jobs/1/../../home", "/..%2fserver.py"):
                async with client.get(path) as answer:
                    assert answer.status in (400, 404), path

    asyncio.run(look())


def test_a_job_that_is_cancelled_ends_with_all_its_processes_and_leaves_nothing(tmp_path):
    async def look() -> None:
        async with served(tmp_path, (sys.executable, "-c", TAKES_LONG)) as client:
            first = await send(client, "convert", source=tone(tmp_path / "a.wav", 1), model="", singer="anna", code=400)
            assert first["error"] == "Model: is empty; it is needed" and not any((tmp_path / "out").iterdir())
            job = await send(client, "render", lyrics="a river")
            waits = await send(client, "render", lyrics="another")
            job = await until(client, job["number"], "running", said="at work")
            assert (tmp_path / "out" / "1-render" / "half.wav").is_file()
            child = int(job["said"].split()[-1])
            async with client.delete(f"/jobs/{waits['number']}") as answer:
                assert (await answer.json())["state"] == "cancelled"
            async with client.delete(f"/jobs/{job['number']}") as answer:
                assert (await answer.json())["state"] == "cancelled"
            for _ in range(500):
                if not alive(child) and not any((tmp_path / "out").iterdir()):
                    break
                await asyncio.sleep(0.02)
            assert not alive(child) and not any((tmp_path / "out").iterdir())
            assert (await until(client, job["number"], "cancelled"))["files"] == []

    asyncio.run(look())


def test_when_the_page_ends_so_does_its_job(tmp_path):
    async def look() -> int:
        async with served(tmp_path, (sys.executable, "-c", TAKES_LONG)) as client:
            job = await send(client, "render", lyrics="a river")
            await send(client, "render", lyrics="another")
            return int((await until(client, job["number"], "running", said="at work"))["said"].split()[-1])

    child = asyncio.run(look())
    assert not alive(child) and not any((tmp_path / "out").iterdir())


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_jobs_run_one_after_another_and_only_so_many_wait(tmp_path):
    async def look() -> None:
        async with served(tmp_path, (sys.executable, "-c", SAYS_WHEN)) as client:
            jobs = [await send(client, "render", lyrics=f"line {k}") for k in range(3)]
            spans = [(await until(client, job["number"], "done"))["rows"][0]["span"] for job in jobs]
            assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
            assert [job["about"] for job in jobs] == ["line 0", "line 1", "line 2"]
            async with client.get("/jobs/2/render.wav") as answer:
                assert await answer.read() == b"RIFF"
        async with served(tmp_path / "other", (sys.executable, "-c", TAKES_LONG)) as client:
            await until(client, (await send(client, "render", lyrics="a"))["number"], "running")
            for _ in range(3):
                await send(client, "render", lyrics="a")
            assert "3 jobs wait already" in (await send(client, "render", lyrics="a", code=400))["error"]

    asyncio.run(look())


def test_more_than_may_be_sent_is_refused_and_not_kept(tmp_path):
    limits = Limits(megabytes=0.1, seconds=2.0)
    (tmp_path / "not.wav").write_bytes(b"no sound at all")
    (tmp_path / "large.wav").write_bytes(bytes(200_000))
    (tmp_path / "program.sh").write_bytes(b"#!")

    async def look() -> None:
        async with served(tmp_path, (sys.executable, "-c", SAYS_WHEN), limits) as client:
            for name, code, said in (
                ("large.wav", 413, "more than 0.1 MB; send less, or start with --max-mb"),
                ("not.wav", 400, "Singing"), ("program.sh", 400, "Singing: 'program.sh' ends in '.sh', need .wav"),
            ):  # fmt: skip
                answer = await send(client, "convert", code, model="m", singer="anna", source=tmp_path / name)
                assert answer["error"].startswith(said)
            long = tone(tmp_path / "long.wav", 2.5)
            answer = await send(client, "convert", 400, model="m", singer="anna", source=long)
            assert answer["error"] == "Singing: 2 s, at most 2; cut it, or start with --max-seconds"
            assert (await send(client, "render", 413, lyrics="la " * 100_000))["error"].startswith("Words: more than")
            assert not any((tmp_path / "out").iterdir())
            async with client.get("/jobs") as answer:
                assert await answer.json() == []

    asyncio.run(look())


def test_the_commands_own_words_reach_the_page(tmp_path, home):
    async def look() -> None:
        async with served(tmp_path) as client:
            bad = await send(client, "mix", name="both", parts="anna=0.5\nclara=0.5")
            failed = await until(client, bad["number"], "failed", "done")
            assert failed["state"] == "failed" and "neither an enrolled voice (anna, bert)" in failed["error"]
            good = await send(client, "mix", name="both", parts="anna=1\nbert=1")
            done = await until(client, good["number"], "failed", "done")
            assert done["state"] == "done" and done["rows"][0]["consent"] == "anna: said so; bert: said so"
            assert (home / "voices" / "both.json").is_file()
            assert not any((tmp_path / "out").iterdir())
            async with client.get("/singers") as answer:
                assert [voice["name"] for voice in await answer.json()] == ["anna", "bert", "both"]

    asyncio.run(look())


def test_an_enrolment_needs_consent_and_only_known_singers_sing(tmp_path):
    sound = tone(tmp_path / "a.wav", 1.0)
    secret = tone(tmp_path / "secret.wav", 1.0)

    async def look() -> None:
        async with served(tmp_path) as client:
            answer = await send(client, "enrol", 400, name="clara", consent=" ", files=sound)
            assert answer["error"] == "Who agreed, and to what: is empty; it is needed"
            answer = await send(client, "convert", 400, source=sound, model="", singer=str(secret))
            assert "nobody is called" in answer["error"] or "Model" in answer["error"]
            answer = await send(client, "render", 400, lyrics="la", model="autosing-visinger", singer=str(secret))
            assert "nobody is called" in answer["error"] and "anna, bert" in answer["error"]

    asyncio.run(look())


@pytest.mark.parametrize("form", FORMS.values(), ids=lambda form: form.name)
def test_every_field_is_an_option_of_its_command(form, tmp_path):
    values = {"number": "1", "singer": "anna", "flag": "on", "choice": "auto", "words": "anna=0.5\nbert=0.5"}
    texts = {field.name: values.get(field.kind, "autosing-visinger" if field.kind == "model" else "text")
             for field in form.fields if field.kind not in UPLOADS}  # fmt: skip
    files = {field.name: [tmp_path / f"{field.name}.wav"] for field in form.fields if field.kind in UPLOADS}
    command = loaded(form.command[0])
    words = words_of(form, Filled(texts, files), tmp_path, tmp_path / "out.wav")
    for name in form.command[1:]:
        command = command.commands[name]
    context = command.make_context(form.name, words[len(form.command) :])
    given = {name for name, value in context.params.items() if value not in (None, False, ())}
    assert {re.sub("-", "_", field.name) for field in form.fields} <= given | {"set"}
    for field in form.fields:
        if field.kind == "lines":
            assert Path(context.params[field.name]).read_text() == "text\n"


def test_lines_with_stamps_are_kept_as_lrc(tmp_path):
    form = FORMS["sing"]
    filled = Filled({"lyrics": "[00:01.00]golden\n[00:02.50]river", "t2s": "a", "sm2a": "b"}, {"reference": [tmp_path]})
    assert f"--lyrics={tmp_path / 'lyrics.lrc'}" in words_of(form, filled, tmp_path, tmp_path / "out.wav")


def test_what_is_typed_is_never_taken_for_an_option(tmp_path):
    filled = Filled({"name": "--model", "consent": "--force"}, {"files": [tmp_path / "a.wav"]})
    words = words_of(FORMS["enrol"], filled, tmp_path, tmp_path / "out.wav")
    assert words[-3:] == ["--", "--model", str(tmp_path / "a.wav")] and "--consent=--force" in words


def test_a_worker_whose_page_was_killed_ends(tmp_path):
    async def look() -> None:
        started = await asyncio.create_subprocess_exec(
            *PROGRAM, "", "ui", "--no-browser", "--port", "0", f"--out={tmp_path}", start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert started.stdout and started.stdin
        assert b"http://127.0.0.1" in await asyncio.wait_for(started.stdout.readline(), 120)  # at work
        started.stdin.close()
        assert await asyncio.wait_for(started.wait(), 60) < 0

    asyncio.run(look())
