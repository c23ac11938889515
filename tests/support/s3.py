"""A real S3 server (moto's) on loopback, in a process of its own, with one bucket."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BUCKET = "songs"


@contextmanager
def s3_server() -> Iterator[int]:
    """Yields its port. Sets credentials that it takes in this process's environment, while it lives."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    given = {"AWS_ACCESS_KEY_ID": "made", "AWS_SECRET_ACCESS_KEY": "made", "AWS_EC2_METADATA_DISABLED": "true"}
    before = {name: os.environ.get(name) for name in given}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        os.environ.update(given)
        _make_bucket(port)
        yield port
    finally:
        server.kill()
        server.wait()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def address(port: int, name: str) -> str:
    """The s3:// address of a folder on the server, or on a proxy before it."""
    return f"s3://{BUCKET}/{name}?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"


def _make_bucket(port: int, wait_s: float = 120.0) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=wait_s)
        try:
            connection.request("PUT", f"/{BUCKET}")
            status = connection.getresponse().status
            assert status == 200, status
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        finally:
            connection.close()
