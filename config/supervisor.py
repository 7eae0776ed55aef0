"""The supervisor of `serve --processes`: it starts the processes that serve on one port, and
replaces each that ends or hangs (docs/decisions/0033-processes.md)."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from tempfile import TemporaryDirectory

import structlog
from django.conf import settings

from config.env import OWN_ENVIRONMENT
from config.metrics_files import DIRECTORY
from config.stopping import when_told_to_stop
from config.supervised import BEAT, BEAT_SECONDS

log = structlog.get_logger(__name__)

# A process hangs that has not beaten for so many seconds, or not begun to serve. One that stops is
# silent for up to SERVER_SHUTDOWN_TIMEOUT more, while it saves what it holds in memory.
HUNG_BEATS = 10
START_BEATS = 60
# A process that ends sooner after its start than this is replaced late, and each time later.
SOON_SECONDS = 10.0
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 8.0


def next_delay(delay: float, lived: float) -> float:
    """Return how many seconds to wait before a process is replaced that lived for so many seconds,
    and was itself started after that delay."""
    if lived >= SOON_SECONDS:
        return 0.0
    return min(2 * delay, LONGEST_DELAY_SECONDS) or FIRST_DELAY_SECONDS


class SupervisedProcess:
    """One process that serves. `last_words` is what it reported at its end."""

    def __init__(self, process: asyncio.subprocess.Process, link: socket.socket) -> None:
        self.process = process
        self.last_words = ""
        self._link = link
        self._serves = asyncio.Event()
        self._ended = asyncio.create_task(self._watch())

    @property
    def served(self) -> bool:
        """Return whether it has begun to serve, whether or not it still does."""
        return self._serves.is_set()

    @property
    def reason(self) -> str:
        """Return why it has ended."""
        return self.last_words or f"A process ended with exit code {self.process.returncode}."

    @classmethod
    async def start(cls, listeners: Sequence[socket.socket], metrics: str) -> "SupervisedProcess":
        """Start the command of the supervisor again, as a process that serves on the first of the
        listeners, helps at the others, and writes what it counts into the directory `metrics`.
        Raises OSError if the system has no room for it."""
        ours, theirs = socket.socketpair()
        inherited = [theirs.fileno(), *(listener.fileno() for listener in listeners)]
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *sys.orig_argv[1:],
                "--inherited",
                ",".join(map(str, inherited)),
                pass_fds=inherited,
                env={**OWN_ENVIRONMENT, DIRECTORY: metrics},
                # Ctrl-C of the terminal reaches the supervisor alone, which passes it on.
                process_group=0,
            )
        return cls(process, ours)

    async def wait(self) -> None:
        """Wait until the process has ended."""
        await asyncio.shield(self._ended)

    async def begins_to_serve(self) -> bool:
        """Wait until the process serves, and return True; return False if it ends before."""
        serves = asyncio.create_task(self._serves.wait())
        await asyncio.wait([serves, self._ended], return_when=asyncio.FIRST_COMPLETED)
        serves.cancel()
        return not self._ended.done()

    async def _watch(self) -> None:
        """Wait until the process has ended, and kill it if it hangs."""
        with self._link:
            await self._listen()
        await self.process.wait()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        silent = 0
        # The seconds are counted, not measured: after the whole machine stood still, a process gets
        # its time too.
        while silent < self._patience():
            try:
                said = await asyncio.wait_for(loop.sock_recv(self._link, 4096), BEAT_SECONDS)
            except TimeoutError:
                silent += 1
                continue
            if not said:
                return
            silent = 0
            if BEAT in said and not self.served:
                self._serves.set()
                log.info("a process serves", pid=self.process.pid)
            self.last_words += said.replace(BEAT, b"").decode(errors="replace").strip()
        self.last_words = "A process hung and was killed."
        self.signal(signal.SIGKILL)

    def when_ended(self, act: Callable[["SupervisedProcess"], None]) -> None:
        """Call `act` with this process when it has ended."""
        self._ended.add_done_callback(lambda _: act(self))

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def _patience(self) -> int:
        return HUNG_BEATS + settings.SERVER_SHUTDOWN_TIMEOUT if self.served else START_BEATS


class Supervisor:
    """Keeps one process for each listener, and gives it `stop_seconds` to stop."""

    def __init__(self, listeners: Sequence[socket.socket], stop_seconds: float) -> None:
        self._listeners = listeners
        self._stop_seconds = stop_seconds
        self._running: set[SupervisedProcess] = set()
        # The process of each listener, and the one that is to take its place.
        self._current: dict[int, SupervisedProcess] = {}
        self._successors: dict[int, SupervisedProcess] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._failure = ""
        self._metrics = ""

    async def run(self) -> str:
        """Keep the processes until told to stop, and wait until all have ended. Return why it
        failed, or an empty string."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._begin_to_renew)

        def stop() -> None:
            # The loop may be closed already.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._stop)

        when_told_to_stop(stop)
        numbers = range(len(self._listeners))
        with TemporaryDirectory(prefix="parley-metrics-") as self._metrics:
            await asyncio.gather(*(self._keep(number) for number in numbers))
            # A process that was to take another's place.
            await asyncio.gather(*(running.wait() for running in self._running))
        return self._failure

    async def _keep(self, number: int) -> None:
        """Start the process again each time it has ended, until told to stop."""
        delay, ever_served = 0.0, False
        while not self._stopping.is_set():
            began = time.monotonic()
            running = self._successors.pop(number, None) or await self._start(number)
            if isinstance(running, SupervisedProcess):
                self._current[number] = running
                await running.wait()
                ever_served = ever_served or running.served
            if self._stopping.is_set():
                return
            if number in self._successors:
                continue
            reason = running if isinstance(running, str) else running.reason
            if not ever_served:
                # A mistake in the settings, say. It would not be repaired by trying again.
                self._failure = reason
                self._stop()
                return
            delay = next_delay(delay, time.monotonic() - began)
            log.warning("a process ended", reason=reason, replaced_in=delay)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _start(self, number: int) -> SupervisedProcess | str:
        """Start a process for a listener; return why that is not possible."""
        listeners = [*self._listeners[number:], *self._listeners[:number]]
        try:
            running = await SupervisedProcess.start(listeners, self._metrics)
        except OSError as error:
            return f"A process could not be started: {error}"
        self._running.add(running)
        running.when_ended(self._running.discard)
        if self._stopping.is_set():
            running.signal(signal.SIGTERM)
        return running

    def _begin_to_renew(self) -> None:
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        """Replace the processes, one after the other, by new ones with the code and the settings
        that are there now. One that does not begin to serve ends that: the others stay."""
        for number in range(len(self._listeners)):
            successor = await self._start(number)
            if self._stopping.is_set():
                return
            if isinstance(successor, str) or not await successor.begins_to_serve():
                reason = successor if isinstance(successor, str) else successor.reason
                log.error("a new process does not serve, and the old ones stay", reason=reason)
                return
            # Both accept what waits at the listener, so nothing waits for the other's end.
            self._successors[number] = successor
            if old := self._current.get(number):
                old.signal(signal.SIGTERM)
                await old.wait()
        log.info("all processes were replaced")

    def _stop(self) -> None:
        """Pass on that the server is to stop; the second time that it is to wait for no client."""
        if self._stopping.is_set():
            self._signal_all(signal.SIGINT)
            return
        self._stopping.set()
        for listener in self._listeners:
            listener.close()
        self._signal_all(signal.SIGTERM)
        asyncio.get_running_loop().call_later(self._stop_seconds, self._kill_all)

    def _kill_all(self) -> None:
        if self._running:
            log.warning("processes did not stop in time", killed=len(self._running))
        self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for running in self._running:
            running.signal(number)
