"""What the processes of one `serve --processes` tell each other of what they have counted: each
writes its numbers to a file of a directory that its supervisor made, so that any of them answers
for all (docs/decisions/0052-metrics.md)."""

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import orjson
import structlog

from apps.core.metrics import Counted, Level, counted, declared, together

log = structlog.get_logger(__name__)

# How old the numbers of the other processes are at most, in seconds.
WRITE_SECONDS = 2.0
# What a process has open counts no more when it has not written for so many seconds: it has ended.
GONE_SECONDS = 10.0
# The environment variable by which a supervisor names the directory to its processes.
DIRECTORY = "PARLEY_METRICS_DIRECTORY"


class SharedMetrics:
    """The numbers of this process and of those that share the directory, if there is one."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory) if directory else None
        self._own = f"{os.getpid()}.json"
        self._stopping = threading.Event()
        # The thread that writes again and again may be at it when the process stops.
        self._writing = threading.Lock()

    async def start(self) -> None:
        """Write the numbers again and again from now on."""
        if self._directory is not None:
            threading.Thread(target=self._write_again, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Write the numbers for the last time."""
        self._stopping.set()
        if self._directory is not None:
            self._write(self._directory)

    def counted(self) -> Counted:
        """Return what all of the processes have counted, also those that have ended."""
        others = [] if self._directory is None else _read_others(self._directory, self._own)
        return together([counted(), *others])

    def _write_again(self) -> None:
        assert self._directory is not None
        while not self._stopping.is_set():
            self._write(self._directory)
            self._stopping.wait(WRITE_SECONDS)

    def _write(self, directory: Path) -> None:
        unfinished = directory / f"{self._own}.new"
        with self._writing:
            rows = {name: list(values.items()) for name, values in counted().items()}
            try:
                unfinished.write_bytes(orjson.dumps(rows))
                # A process that reads finds a whole file, the former one or this one.
                unfinished.replace(directory / self._own)
            except OSError:
                log.warning("metrics not written", exc_info=True)


def _read_others(directory: Path, own: str) -> Sequence[Counted]:
    levels = {metric.name for metric in declared() if isinstance(metric, Level)}
    found = []
    for path in directory.glob("*.json"):
        # The supervisor removes the directory when it ends.
        with suppress(FileNotFoundError):
            if path.name != own:
                gone = time.time() - path.stat().st_mtime > GONE_SECONDS
                rows = orjson.loads(path.read_bytes())
                found.append(
                    {
                        name: {tuple(labels): value for labels, value in values}
                        for name, values in rows.items()
                        if not (gone and name in levels)
                    }
                )
    return found
