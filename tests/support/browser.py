"""A headless Chromium -> pages that tests open, fill in and look at, over its DevTools protocol. For tests only."""

import asyncio
import base64
import itertools
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""None where none is installed."""
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--mute-audio", "--disable-audio-output", "--remote-debugging-port=0",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


class Tab:
    """One page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self.asked: list[str] = []
        """Addresses of all requests of the page."""
        self.complaints: list[str] = []
        """Errors of its scripts and of its console."""

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol. Raises RuntimeError with the browser's words."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            said = await self._socket.receive_json(timeout=600)
            if said.get("id") == number:
                if "error" in said:
                    raise RuntimeError(said["error"]["message"])
                result: dict[str, Any] = said["result"]
                return result
            self._note(said.get("method", ""), said.get("params", {}))

    def _note(self, event: str, params: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))

    async def open(self, address: str) -> None:
        for domain in ("Page", "Network", "Runtime", "Log", "DOM"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=address)

    async def run(self, script: str) -> Any:
        """The value of an expression; a promise is waited for. Raises RuntimeError where it throws."""
        said = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise RuntimeError(json.dumps(said["exceptionDetails"]))
        return said["result"].get("value")

    async def until(self, script: str, patience_s: float = 60) -> Any:
        """Its value, once that is true (an element has none: ask for something of it). Raises TimeoutError, with what
        the page shows."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            found = await self.run(script)
            if found:
                return found
            await asyncio.sleep(0.1)
        raise TimeoutError(f"never true: {script}\n{await self.run('document.body.innerText')}\n{self.complaints}")

    async def choose_file(self, selector: str, path: Path) -> None:
        """As a person does who picks a file."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    async def drag(self, start: tuple[float, float], end: tuple[float, float] | None = None, clicks: int = 1) -> None:
        """The mouse's left button, pressed at a place of the window and released at another, or at the same."""
        mouse = "Input.dispatchMouseEvent"
        for number in range(1, clicks + 1):
            pressed = {"button": "left", "clickCount": number}
            await self.call(mouse, type="mousePressed", x=start[0], y=start[1], **pressed)
            if end is not None:
                await self.call(mouse, type="mouseMoved", x=end[0], y=end[1], button="left", buttons=1)
            x, y = end or start
            await self.call(mouse, type="mouseReleased", x=x, y=y, **pressed)

    async def picture(self, path: Path, width: int = 1280, height: int = 900) -> None:
        """A PNG of what the window shows."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot"))["data"]))


@asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Tab]:
    """A tab of a browser that keeps its profile in `folder`."""
    assert CHROMIUM is not None
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM, *_FLAGS, f"--user-data-dir={folder}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = folder / "DevToolsActivePort"
        end = time.monotonic() + 600
        while not (port.is_file() and port.read_text().strip()):
            assert time.monotonic() < end and browser.returncode is None, "Chromium did not start"
            await asyncio.sleep(0.1)
        number = port.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{number}/json/list") as answer:
                target = next(one for one in await answer.json(content_type=None) if one["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        if browser.returncode is None:
            browser.kill()
        await browser.wait()
