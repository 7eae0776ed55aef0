"""The process that hashes passwords for a server, at the lowest priority
(docs/decisions/0021-hashing-process.md)."""

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

PROGRAM = Path(__file__).with_name("hashing_program.py")
# How long to wait for a killed process to end, in seconds.
END_SECONDS = 1.0


class HashingProcess:
    """Hashes passwords in another process, and replaces that process when it has died or hung.

    One caller asks at a time. A caller who gets no answer in time hashes in its own thread, so that
    logins still work when the processors are too busy for a process of the lowest priority.

    `wait` is how many seconds a caller waits for its turn, and then again for the answer. After
    `hung` seconds without an answer the process counts as hung.
    """

    def __init__(self, *, wait: float = 1.0, hung: float = 10.0) -> None:
        self.wait = wait
        self.hung = hung
        self._lock = threading.Lock()
        self._started = False
        self._running: _Running | None = None

    @property
    def pid(self) -> int | None:
        """Return the id of the process, None while there is no process."""
        return self._running.pid if self._running else None

    def start(self) -> None:
        """Start the process. Until then ask() returns None at once."""
        with self._lock:
            self._started = True
            # If this fails, the first caller tries again.
            with suppress(OSError):
                self._running = _Running(self.wait)

    def ask(self, function: str, *arguments: str | int) -> Any:
        """Call a function of the program with the arguments and return what it returns; None when
        there is no answer."""
        if not self._started or not self._lock.acquire(timeout=self.wait):
            return None
        try:
            self._running = self._running or _Running(self.wait)
            return self._running.ask([function, *arguments])
        except OSError as error:
            self._give_up(error)
            return None
        finally:
            self._lock.release()

    def _give_up(self, error: OSError) -> None:
        log.warning("the hashing process did not answer", error=type(error).__name__)
        late = isinstance(error, TimeoutError)
        if self._running and not (late and self._running.seconds_late() < self.hung):
            self._running.end()
            self._running = None


class _Running:
    """One run of the program, which answers one request at a time."""

    def __init__(self, wait: float) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(wait)
        self._asked_at: float | None = None
        with theirs:
            # A fork without exec is unsafe, because this process has threads. -P: modules next to
            # the program have names of the standard library. In its own session the process gets
            # no SIGINT of the terminal, and has its own priority.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(PROGRAM)],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: list[str | int]) -> Any:
        """Return the answer; raise TimeoutError when it is late, and another OSError when there
        will be none."""
        if self._asked_at is not None:
            # This is the answer to an earlier caller who no longer waits. It must not pass for the
            # answer about another password.
            self._receive()
        self._asked_at = time.monotonic()
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(self._receive())

    def seconds_late(self) -> float:
        """Return for how many seconds an answer has been due, 0 if none is."""
        return time.monotonic() - self._asked_at if self._asked_at is not None else 0.0

    def end(self) -> None:
        """Kill the process."""
        self._socket.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)

    def _receive(self) -> bytes:
        # The program writes a line of about a hundred bytes at once.
        line = self._socket.recv(4096)
        if not line.endswith(b"\n"):
            raise ConnectionResetError
        self._asked_at = None
        return line


hashing_process = HashingProcess()
