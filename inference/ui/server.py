"""Forms, jobs and their files as a page, for browsers on this computer only.

Only the loopback address is listened to. A request that names another host (a page elsewhere whose name was made to
lead here), or that another site's page sends, is refused.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from pydantic import ValidationError

from autosing.errors import InputError
from autosing.storage.store import Place, is_full
from inference.ui.asked import models, singers, words_of
from inference.ui.corpus import Starts, correct, drawn, listed
from inference.ui.forms import FORMS
from inference.ui.jobs import PICTURE, Job, Jobs, clear
from inference.ui.uploads import Limits, TooMuchError, filled

HOST = "127.0.0.1"
_HERE = Path(__file__).parent
_STATIC = {
    "": _HERE / "page.html", "ui.css": _HERE / "page.css", "ui.js": _HERE / "page.js",
    "corpus.js": _HERE / "corpus.js", "roll.js": _HERE / "roll.js",
    "report.css": _HERE.parent / "report" / "page.css", "report.js": _HERE.parent / "report" / "page.js",
}  # fmt: skip
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "media-src 'self' data: blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_JOBS = web.AppKey("jobs", Jobs)
_SETTINGS: web.AppKey["Settings"] = web.AppKey("settings")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Settings:
    """What a page may do."""

    runs: Path
    """Where trained models are looked for."""
    limits: Limits
    corpus: Place | None = None
    """What is looked at."""
    corrected: Path = Path("corrected")
    """Where words' times set by hand are kept, as LRC."""


def application(jobs: Jobs, settings: Settings) -> web.Application:
    """The page; its jobs run as long as it is served."""
    app = web.Application(middlewares=[_guard])
    app[_JOBS], app[_SETTINGS] = jobs, settings
    app.add_routes([
        web.get("/forms", _forms), web.get("/models", _models), web.get("/singers", _singers),
        web.get("/jobs", _list), web.post("/jobs/{form}", _add), web.delete("/jobs/{number}", _cancel),
        web.get("/jobs/{number}/{file}", _file), web.get("/corpus", _corpus),
        web.get("/corpus/{partition:[0-9]+}/{id}", _clip), web.post("/corpus/{partition:[0-9]+}/{id}", _correct),
        web.get("/{name:[a-z.]*}", _static),
    ])  # fmt: skip
    app.cleanup_ctx.append(_working)
    return app


async def _working(app: web.Application) -> AsyncIterator[None]:
    work = asyncio.create_task(app[_JOBS].work())
    yield
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses foreign hosts and foreign pages; bad input is an answer of one line."""
    name = request.host.rpartition(":")[0] or request.host
    origin = request.headers.get("Origin", f"http://{request.host}")
    if name not in (HOST, "localhost") or origin != f"http://{request.host}":
        raise web.HTTPForbidden(text="only pages of this computer may ask this")
    try:
        answer = await handler(request)
    except TooMuchError as error:
        answer = web.json_response({"error": str(error)}, status=413)
    except InputError as error:
        answer = web.json_response({"error": str(error)}, status=400)
    except OSError as error:
        if not is_full(error):
            raise
        answer = web.json_response({"error": "the disk is full; make room, then send it again"}, status=507)
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def _static(request: web.Request) -> web.StreamResponse:
    path = _STATIC.get(request.match_info["name"])
    if path is None:
        raise web.HTTPNotFound
    return web.FileResponse(path)


async def _forms(request: web.Request) -> web.StreamResponse:
    limits = request.app[_SETTINGS].limits
    shown = [form.shown() for form in FORMS.values()]
    return web.json_response({"forms": shown, "megabytes": limits.megabytes, "seconds": limits.seconds})


async def _models(request: web.Request) -> web.StreamResponse:
    return web.json_response(await asyncio.to_thread(models, request.app[_SETTINGS].runs))


async def _singers(request: web.Request) -> web.StreamResponse:
    return web.json_response(await asyncio.to_thread(singers, request.query.get("model", "")))


async def _list(request: web.Request) -> web.StreamResponse:
    return web.json_response([job.shown() for job in request.app[_JOBS]])


async def _add(request: web.Request) -> web.StreamResponse:
    form = FORMS.get(request.match_info["form"])
    if form is None:
        raise web.HTTPNotFound
    jobs = request.app[_JOBS]
    job, kept = jobs.new(form.name), False
    try:
        given = await filled(request, form, job.inputs, request.app[_SETTINGS].limits)
        out = job.folder / f"{form.name}.wav"
        job.words = await asyncio.to_thread(words_of, form, given, job.inputs, out)
        job.sound = out if form.sound else None
        job.about = given.about
        jobs.add(job)
        kept = True
    finally:
        if not kept:
            clear(job)
    return web.json_response(job.shown(), status=201)


def _job(request: web.Request) -> Job:
    number = request.match_info["number"]
    if not number.isdigit():
        raise web.HTTPNotFound
    return request.app[_JOBS].find(int(number))


async def _cancel(request: web.Request) -> web.StreamResponse:
    job = _job(request)
    request.app[_JOBS].cancel(job)
    return web.json_response(job.shown())


async def _file(request: web.Request) -> web.StreamResponse:
    job, name = _job(request), request.match_info["file"]
    if name not in (*job.files, PICTURE):
        raise web.HTTPNotFound
    path = job.folder / name
    if not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path)


async def _corpus(request: web.Request) -> web.StreamResponse:
    corpus = request.app[_SETTINGS].corpus
    return web.json_response(None if corpus is None else await asyncio.to_thread(listed, corpus))


async def _clip(request: web.Request) -> web.StreamResponse:
    return web.json_response(await asyncio.to_thread(drawn, *_asked_clip(request)))


async def _correct(request: web.Request) -> web.StreamResponse:
    try:
        starts_s = Starts.model_validate_json(await request.text()).starts_s
    except ValidationError:
        raise InputError("need starts_s: a list of seconds") from None
    path = await asyncio.to_thread(correct, *_asked_clip(request), starts_s)
    return web.json_response({"file": str(path)})


def _asked_clip(request: web.Request) -> tuple[Place, int, str, Path]:
    settings, asked = request.app[_SETTINGS], request.match_info
    if settings.corpus is None:
        raise InputError("no corpus is shown; start with --corpus")
    return settings.corpus, int(asked["partition"]), asked["id"], settings.corrected


def serve(folder: Path, port: int, settings: Settings, ready: Callable[[str], None]) -> None:
    """Until it is interrupted. `ready` is called with the address; port 0 takes any that is free.

    Raises InputError where the port is taken.
    """
    asyncio.run(_serve(folder, port, settings, ready))


async def _serve(folder: Path, port: int, settings: Settings, ready: Callable[[str], None]) -> None:
    runner = web.AppRunner(application(Jobs(folder), settings), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            raise InputError(f"--port {port}: cannot be listened to ({error.strerror}); give another, or 0") from None
        ended = asyncio.Event()
        for sign in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sign, ended.set)
        ready(f"http://{HOST}:{runner.addresses[0][1]}/")
        await ended.wait()
    finally:
        await runner.cleanup()
