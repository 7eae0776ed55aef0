"""Repeated requests on persistent connections, as fast as they are answered, from a process of its
own."""

import gc
import multiprocessing
import random
import re
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from multiprocessing.connection import Connection

from bench.report import percentile

HOST = "127.0.0.1"
# Stands in a request for a number that no other request has. Its length is that of the number.
UNIQUE = b"{unique-number-}"
# Longer than most answers, so that one read takes all of it.
READ_BYTES = 1 << 16
PATIENCE_SECONDS = 30.0

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """Requests, which are sent in turn over so many connections, each when the one before it on its
    connection is answered.

    It takes so many seconds, or with `seconds` None until each request was answered once. `first`
    is the place of the first request. The connections go to the ports in turn, and each comes from
    an address of its own, like clients on the internet.
    """

    ports: Sequence[int]
    requests: Sequence[bytes]
    connections: int = 16
    seconds: float | None = 1.0
    status: int = 200
    first: int = 0


@dataclass(frozen=True)
class Answered:
    """The responses to a load. Times are in seconds; `cpu` is the processor time that the generator
    itself took for each. `failures` counts every status other than the expected one."""

    count: int
    per_second: float
    p50: float
    p99: float
    cpu: float
    failures: Counter[int] = field(default_factory=Counter)


def request(method: str, path: str, *, token: str = "", body: bytes | None = None) -> bytes:
    """Return the bytes of a request. Each UNIQUE in it becomes a number when it is sent."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def response(port: int, sent: bytes) -> bytes:
    """Send one request and return its whole response."""
    one = _Open(port)
    one.send(sent)
    while not (data := one.response()):
        pass
    one.socket.close()
    return data


class Running:
    """A load whose process runs."""

    def __init__(self, load: Load) -> None:
        processes = multiprocessing.get_context("fork")
        self._received, sent = processes.Pipe(duplex=False)
        self._process = processes.Process(target=_run_in_process, args=(load, sent), daemon=True)
        self._process.start()
        sent.close()

    def result(self) -> Answered:
        """Wait for the end and return the responses; raise RuntimeError if the load failed. Prints
        how many responses were failures."""
        try:
            found = self._received.recv()
        except EOFError:
            found = RuntimeError("The process that makes the load ended.")
        self._process.join()
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, Answered)
        if found.failures:
            print(f"== FAILED: {dict(found.failures)} of {found.count}", flush=True)
        return found


def run(load: Load) -> Answered:
    """Run a load and return the responses."""
    return Running(load).result()


def _run_in_process(load: Load, result: Connection) -> None:
    # What was made before stays as it is: to look through it would take time in the measurement.
    gc.disable()
    try:
        result.send(_Generator(load).run())
    except Exception as error:  # noqa: BLE001
        result.send(RuntimeError(f"{type(error).__name__}: {error}"))


class _Open:
    """A connection with one request under way."""

    __slots__ = ("_rest", "number", "receive", "send", "sent_at", "socket")

    def __init__(self, port: int, number: int = 0) -> None:
        # All of 127.0.0.0/8 are addresses of this machine, on Linux.
        address = f"127.0.1.{number + 1}"
        self.socket = socket.create_connection((HOST, port), PATIENCE_SECONDS, (address, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = self.socket.fileno()
        self.send = self.socket.sendall
        self.receive = self.socket.recv
        self.sent_at = 0.0
        self._rest = b""

    def response(self) -> bytes:
        """Read, and return the response if all of it has arrived, else nothing."""
        data = self.receive(READ_BYTES)
        if not data:
            raise RuntimeError("The server hung up.")
        data = self._rest + data
        if is_complete(data):
            self._rest = b""
            return data
        self._rest = data
        return b""


class _Generator:
    """Runs one load in this process."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = requests_of(load)
        self._opened = [_Open(load.ports[n % len(load.ports)], n) for n in range(load.connections)]
        self._took: list[float] = []
        self._failures: Counter[int] = Counter()

    def run(self) -> Answered:
        """Send until the time is over, read what is still to come, and return the responses."""
        cpu, began = time.process_time(), time.perf_counter()
        self._exchange(began + (self._load.seconds or float("inf")))
        seconds = time.perf_counter() - began
        cpu = time.process_time() - cpu
        for one in self._opened:
            one.socket.close()
        count = len(self._took)
        return Answered(
            count,
            count / seconds,
            percentile(self._took, 0.5),
            percentile(self._took, 0.99),
            cpu / max(count, 1),
            self._failures,
        )

    def _exchange(self, end: float) -> None:
        """Exchange requests and responses until `end`, by time.perf_counter()."""
        # Few calls: at 40,000 responses a second each of them would be felt.
        clock, requests, took = time.perf_counter, self._requests, self._took
        status = b"%d" % self._load.status
        with select.epoll() as poll:
            waiting = dict(self._begin(poll))
            while waiting:
                for number in _ready(poll):
                    one = waiting[number]
                    data = one.response()
                    if not data:
                        continue
                    now = clock()
                    took.append(now - one.sent_at)
                    if data[9:12] != status:
                        self._failures[int(data[9:12])] += 1
                    following = next(requests, None) if now < end else None
                    if following is None:
                        poll.unregister(waiting.pop(number).socket)
                    else:
                        one.sent_at = now
                        one.send(following)

    def _begin(self, poll: "select.epoll") -> Iterator[tuple[int, _Open]]:
        """Send the first request on each connection."""
        for one, first in zip(self._opened, self._requests, strict=False):
            poll.register(one.socket, select.EPOLLIN)
            one.sent_at = time.perf_counter()
            one.send(first)
            yield one.number, one


def _ready(poll: "select.epoll") -> Iterator[int]:
    ready = poll.poll(PATIENCE_SECONDS)
    if not ready:
        raise RuntimeError(f"No request was answered within {PATIENCE_SECONDS:.0f} seconds.")
    return (number for number, _ in ready)


def is_complete(data: bytes) -> bool:
    """Return whether the data holds a whole response."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return False
    start = data.find(b"\r\ncontent-length: ", 0, head)
    if start >= 0:
        start += len(b"\r\ncontent-length: ")
        return len(data) - head - 4 >= int(data[start : data.index(b"\r", start)])
    # Some servers write it with capitals, or send the body in chunks.
    length = _LENGTH.search(data, 0, head + 2)
    if length is None:
        return data.endswith(b"0\r\n\r\n", head + 4)
    return len(data) - head - 4 >= int(length[1])


def requests_of(load: Load) -> Iterator[bytes]:
    """Yield the requests, each with numbers of its own in place of UNIQUE."""
    first = load.first % len(load.requests)
    if load.seconds is None:
        found = islice(load.requests, first, None)
    else:
        found = islice(cycle(load.requests), first, None)
    if not any(UNIQUE in one for one in load.requests[:100]):
        return found
    # Microseconds since 1970 have sixteen digits, and no load sends a million requests a second.
    numbers = iter(range(time.time_ns() // 1000 + random.randrange(1000), 10**16))
    return (one.replace(UNIQUE, b"%016d" % next(numbers)) for one in found)
