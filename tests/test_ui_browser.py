"""`autosing ui` as a person uses it: in a real browser, with the model that comes with autosing."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from autosing.audio.io import decode
from autosing.score.score import Score
from inference.provenance.tags import read_tags
from inference.ui.jobs import PROGRAM, Jobs
from inference.ui.server import Settings, application
from inference.ui.uploads import Limits
from support.browser import CHROMIUM, Tab, chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or "AUTOSING_BROWSER" not in os.environ,
        reason="a real browser is only used where AUTOSING_BROWSER=1 is set and the system's package chromium is there",
    ),
]
FAILS = "import sys; print('autosing: no singer like that; enrol one', file=sys.stderr); sys.exit(2)"


def visit(folder: Path, look, program=PROGRAM) -> Tab:
    async def run() -> Tab:
        server = TestServer(application(Jobs(folder / "out", program), Settings(folder / "runs", Limits())))
        async with server, chromium(folder / "profile") as tab:
            await tab.open(f"http://127.0.0.1:{server.port}/")
            await tab.until("document.readyState === 'complete' && document.forms.length === 6")
            await tab.until("document.querySelectorAll('[data-form=render] [name=singer] option').length > 1")
            await look(tab)
            own = f"http://127.0.0.1:{server.port}/"
            assert tab.asked and all(address.startswith((own, "data:", "blob:")) for address in tab.asked), "offline"
            assert not tab.complaints
            return tab

    return asyncio.run(run())


def test_words_are_typed_and_a_song_plays(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))

    async def look(tab: Tab) -> None:
        await tab.run("document.querySelector('[data-form=render] [name=lyrics]').value = 'a river of gold'")
        await tab.run("document.querySelector('[data-form=render] button[type=submit]').click()")
        await tab.until("document.querySelector('#job-1')?.matches('.done, .failed')", 600)
        assert not await tab.run("document.querySelector('#job-1 .error')?.textContent")
        assert await tab.until("document.querySelectorAll('#job-1 figure.take').length") == 2  # the mix and its voice
        words = "[...document.querySelectorAll('#job-1 .words')[0].children].map((one) => one.textContent)"
        assert await tab.run(words) == ["a", "river", "of", "gold"]
        await tab.until("document.querySelector('#job-1 audio').duration > 1")
        await tab.run("document.querySelector('#job-1 audio').play()")
        await tab.until("document.querySelector('#job-1 audio').currentTime > 0.2")
        assert await tab.run("document.querySelector('#job-1 .playhead').style.left !== '0%'")
        names = await tab.run("[...document.querySelectorAll('#job-1 .files a')].map((one) => one.textContent)")
        assert {"render.wav", "render.lrc", "render.mid", "render.pitch.csv"} <= set(names)
        size = "fetch('jobs/1/render.wav').then((answer) => answer.blob()).then((sound) => sound.size)"
        assert await tab.run(size) == (tmp_path / "out" / "1-render" / "render.wav").stat().st_size

    visit(tmp_path, look)
    sound = tmp_path / "out" / "1-render" / "render.wav"
    assert decode(sound).duration_s > 1
    assert read_tags(sound)["AUTOSING_VOICE"] == "synthetic voice"
    assert json.loads(sound.with_suffix(".json").read_text())["made_by"] == "autosing render"


def test_what_goes_wrong_is_shown_and_tabs_and_microphone_work(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))
    score = tmp_path / "song.mid"
    score.write_bytes(b"MThd")

    async def look(tab: Tab) -> None:
        form = "document.querySelector('[data-form=render]')"
        await tab.choose_file("[data-form=render] [name=score]", score)
        assert await tab.run(f"[{form}.elements.lyrics.value, {form}.elements.band.checked]") == ["", False]
        await tab.run(f"{form}.querySelector('button[type=submit]').click()")
        said = await tab.until("document.querySelector('#job-1.failed .error')?.textContent")
        assert said == "no singer like that; enrol one"
        assert not any((tmp_path / "out").iterdir())
        await tab.run(
            "[...document.querySelectorAll('#tabs button')].find((one) => one.textContent === 'Convert').click()"
        )
        shown = (
            "[...document.querySelectorAll('#panels > div')].filter((one) => !one.hidden).map((one) => one.ariaLabel)"
        )
        assert await tab.run(shown) == ["Convert"]
        assert "autosing-svc_flow" in await tab.run("document.querySelector('[data-form=convert]').textContent")
        button = "document.querySelector('[data-form=convert] .record button')"
        await tab.run(f"{button}.click()")
        await tab.until(f"{button}.textContent === 'Stop'")
        await asyncio.sleep(1)
        await tab.run(f"{button}.click()")
        held = "document.querySelector('[data-form=convert] [name=source]').files"
        assert await tab.until(f"{held}.length && {held}[0].size > 100 && {held}[0].name") == "microphone.webm"

    visit(tmp_path, look, (sys.executable, "-c", FAILS))


def test_notes_are_drawn_and_sent_as_a_score(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOSING_HOME", str(tmp_path / "home"))
    form = "document.querySelector('[data-form=render]')"

    async def look(tab: Tab) -> None:
        await tab.run(f"{form}.querySelector('.pianoroll').open = true")
        await tab.run(f"{form}.querySelector('.rollview').scrollIntoView({{block: 'center'}})")
        await tab.until(f"{form}.querySelector('.rollview').scrollTop > 0")
        box = f"{form}.querySelector('svg.roll').getBoundingClientRect()"
        corner = f"[{box}.x, {box}.y]"

        async def at(part: int, midi: int) -> tuple[float, float]:
            x, y = await tab.run(corner)
            return x + 13 * part + 2, y + 11 * (84 - midi) + 5

        async def score() -> Score:
            return Score.from_json(await tab.run(f"{form}.elements.score.files[0].text()"))

        await tab.run(f"{form}.elements.lyrics.value = 'a river of gold'")
        for beat, midi in enumerate((60, 62, 64, 65, 60)):
            await tab.drag(await at(4 * beat, midi))
        drawn = await score()
        assert [note.midi for note in drawn.notes] == [60, 62, 64, 65, 60]
        assert [note.start_s for note in drawn.notes] == pytest.approx([0, 0.6, 1.2, 1.8, 2.4])
        assert drawn.duration_s == pytest.approx(3.6) and drawn.tempo.tempos[0].bpm == 100
        assert await tab.run(f"[{form}.elements.lyrics.value, {form}.elements.band.checked]") == [
            "a river of gold",
            False,
        ]
        await tab.drag(await at(17, 60), await at(17, 67))
        assert (await score()).notes[-1].midi == 67, "a note is moved"
        await tab.drag(await at(20, 67))
        assert len((await score()).notes) == 6
        await tab.drag(await at(21, 67), clicks=2)
        assert len((await score()).notes) == 5, "a double click takes a note away"
        x, y = await at(20, 67)
        await tab.drag((x - 4, y), (x + 13 * 3, y))
        assert (await score()).notes[-1].duration_s == pytest.approx(8 * 0.15), "its edge lengthens it"
        await tab.drag(await at(2, 72))
        first, second = (await score()).notes[:2]
        assert first.end_s == second.start_s == pytest.approx(0.3), "one voice: the note before gives way"
        await tab.run(f"{form}.querySelector('.rollhead input').value = 200")
        await tab.run(f"{form}.querySelector('.rollhead input').dispatchEvent(new Event('change'))")
        assert (await score()).tempo.tempos[0].bpm == 200
        picture = os.environ.get("AUTOSING_PICTURES")
        if picture:
            await tab.picture(Path(picture) / "roll.png")
        await tab.run(f"{form}.querySelector('button[type=submit]').click()")
        await tab.until("document.querySelector('#job-1.failed .error')?.textContent")
        assert "--score=" in await tab.run("fetch('jobs').then((answer) => answer.json()).then(([job]) => job.command)")

    visit(tmp_path, look, (sys.executable, "-c", FAILS))
