"""A store that answers -> the same store behind a bad network: an HTTP proxy on loopback that injects faults.

Each request meets with a fault by chance: "drop" (the connection ends, nothing was done), "500" and "503" (refused,
nothing was done), "hang" (no answer for longer than the client waits), "lost" (done, but the answer never comes),
"cut" (done, but the answer ends half-way).
"""

import http.client
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

FAULTS = ("drop", "500", "503", "lost", "cut", "hang")
_HANG_S = 4.0
_OWN_HEADERS = ("connection", "transfer-encoding", "content-length", "keep-alive", "expect")


class FaultyProxy:
    """`with FaultyProxy(port) as proxy`: listens on `proxy.port`; `proxy.met` counts requests by fault ("": none)."""

    def __init__(self, port: int, rate: float = 0.1, seed: int = 0, faults: tuple[str, ...] = FAULTS) -> None:
        self.met: Counter[str] = Counter()
        self._chance, self._lock = random.Random(seed), threading.Lock()
        self._rate, self._faults = rate, faults
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, port))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> "FaultyProxy":
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def draw(self) -> str:
        """The fault of the next request, or ""."""
        with self._lock:
            fault = self._chance.choice(self._faults) if self._chance.random() < self._rate else ""
            self.met[fault] += 1
            return fault


def _handler(proxy: FaultyProxy, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            self.close_connection = True
            body = self._body()
            fault = proxy.draw()
            if fault == "drop":
                return
            if fault == "hang":
                time.sleep(_HANG_S)
                return
            if fault in ("500", "503"):
                self._answer(int(fault), [], b"<Error><Code>InternalError</Code></Error>")
                return
            status, headers, answer = self._forward(body)
            if fault == "lost":
                return
            self._answer(status, headers, answer, cut=fault == "cut")

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(pieces)

        def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in _OWN_HEADERS:
                        connection.putheader(name, value)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                answer = connection.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                connection.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, cut: bool = False) -> None:
            self.send_response(status)
            length = str(len(body))
            for name, value in headers:
                if name.lower() == "content-length":
                    length = value  # of a HEAD: the object's
                elif name.lower() not in _OWN_HEADERS:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)

        def log_message(self, format: str, *args: Any) -> None: ...

    return Handler
