"""Repeated requests on persistent connections: by wrk where it is installed, else by our code."""

import re
import selectors
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass

CONNECTIONS = 16

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Answered:
    """The responses of a server: how many per second, and the median of their seconds."""

    per_second: float
    p50: float


def generator() -> str:
    """Return the name of the program that makes the load."""
    return "wrk" if shutil.which("wrk") else "the one of bench/load.py"


def load(port: int, path: str, seconds: int) -> Answered:
    """Request the path as often as possible; raise RuntimeError for a status other than 200."""
    if wrk := shutil.which("wrk"):
        return _load_by_wrk(wrk, port, path, seconds)
    return _load(port, path, seconds)


def _load_by_wrk(wrk: str, port: int, path: str, seconds: int) -> Answered:
    printed = subprocess.run(
        [
            wrk, "--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds}s",
            "--latency", f"http://127.0.0.1:{port}{path}",
        ],
        check=True, capture_output=True, text=True, timeout=seconds + 30,
    ).stdout  # fmt: skip
    rate = re.search(r"Requests/sec: +([\d.]+)", printed)
    median = re.search(r"50% +([\d.]+)(us|ms|s)", printed)
    if "Non-2xx" in printed or rate is None or median is None:
        raise RuntimeError(printed)
    unit = {"us": 1e-6, "ms": 1e-3, "s": 1.0}[median[2]]
    return Answered(float(rate[1]), float(median[1]) * unit)


def _load(port: int, path: str, seconds: int) -> Answered:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    took: list[float] = []
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            selector.register(_Connection(port, request), selectors.EVENT_READ)
        began = now = time.perf_counter()
        while now - began < seconds:
            for key, _ in selector.select(1):
                connection = key.fileobj
                assert isinstance(connection, _Connection)
                if connection.answered():
                    now = time.perf_counter()
                    took.append(now - connection.sent_at)
                    connection.send()
            now = time.perf_counter()
        for key in tuple(selector.get_map().values()):
            assert isinstance(key.fileobj, _Connection)
            key.fileobj.socket.close()
    took.sort()
    return Answered(len(took) / (now - began), took[len(took) // 2])


class _Connection:
    """One connection with one request under way."""

    def __init__(self, port: int, request: bytes) -> None:
        self._request = request
        self._rest = b""
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send()

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self.socket.fileno()

    def send(self) -> None:
        """Send the request."""
        self.sent_at = time.perf_counter()
        self.socket.sendall(self._request)

    def answered(self) -> bool:
        """Read, and return whether the response is complete."""
        data = self.socket.recv(65536)
        if not data:
            raise RuntimeError(f"The server hung up on {self._request!r}.")
        self._rest += data
        head, end, body = self._rest.partition(b"\r\n\r\n")
        if not end:
            return False
        if b" 200 " not in head[:16]:
            raise RuntimeError(self._rest.decode(errors="replace"))
        length = _LENGTH.search(head)
        complete = len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")
        if complete:
            self._rest = b""
        return complete
