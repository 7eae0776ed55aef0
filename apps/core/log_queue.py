"""A bounded queue of log lines. One thread writes them, and no other thread waits for it."""

import logging
import logging.handlers
import sys
import threading
from collections.abc import Sequence
from queue import SimpleQueue

# About two seconds of the busiest server, and 6 MB of request lines.
MOST_LINES = 16_384
# How long the writing thread lets lines gather, in seconds. Each time it wakes it waits for the
# interpreter, and while it waits, every call that the event loop makes to the system wakes it again
# in vain: at ten times as many wakes that takes a fifth of a small request.
GATHER_SECONDS = 0.25
# How long the end of the process may wait until the log is written.
FLUSH_SECONDS = 1.0


class LogQueue(logging.handlers.QueueHandler):
    """Renders each line in the thread that logs it; a thread of its own writes it to `output`.

    When MOST_LINES wait, the queue takes no more until all of them are written. It drops and counts
    the lines that come meanwhile, and one line that says how many takes their place.
    """

    # Not a `queue.Queue`: a destructor that logs during its `put` would wait for itself.
    queue: SimpleQueue[str | threading.Event | None]

    def __init__(
        self, output: logging.Handler, form: str = "", reports: logging.Handler | None = None
    ) -> None:
        super().__init__(SimpleQueue())
        # The name of a format in which lines may be rendered elsewhere, for write().
        self.form = form
        # Is given the errors too. Not a second handler of the logger: write() would pass it by.
        self._reports = reports
        self._output = output
        self._lost = 0
        self._counting = threading.RLock()
        # Set by who waits for the lines.
        self._hurry = threading.Event()
        # Not a QueueListener: it writes a single line each time it runs, and its end waits without
        # bound.
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Put the line into the queue, or count it as lost. The handler's lock is held here."""
        if not self._drop_if_full():
            super().emit(record)
        if self._reports is not None and record.levelno >= self._reports.level:
            self._reports.handle(record)

    def write(self, line: str) -> None:
        """Put a line into the queue that is rendered already, or count it as lost."""
        if not self._drop_if_full():
            self.queue.put(line)

    def prepare(self, record: logging.LogRecord) -> str:
        """Return the rendered line. Only the thread that logs it has the context and the exception,
        and the arguments may change later."""
        return self.format(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Log that a line could not be rendered. Other handlers print to stderr, which may hang."""
        what = f"a log line could not be rendered ({record.pathname}:{record.lineno})"
        self.queue.put(self._line(logging.ERROR, what, sys.exc_info()))

    def flush(self) -> None:
        """Wait until all logged lines are written, for FLUSH_SECONDS at most."""
        written = threading.Event()
        self.queue.put(written)
        self._hurry.set()
        written.wait(FLUSH_SECONDS)

    def close(self) -> None:
        """Let the writing thread end after it has written what is in the queue."""
        self.queue.put(None)
        self._hurry.set()
        super().close()

    def _drop_if_full(self) -> bool:
        with self._counting:
            if self._lost or self.queue.qsize() >= MOST_LINES:
                self._lost += 1
            return self._lost > 0

    def _run(self) -> None:
        taken: Sequence[str | threading.Event | None] = []
        while None not in taken:
            # One write for all waiting lines: while other threads are busy, this thread runs too
            # rarely to write a single line each time.
            first = self.queue.get()
            if isinstance(first, str):
                self._hurry.wait(GATHER_SECONDS)
            self._hurry.clear()
            taken = [first, *(self.queue.get() for _ in range(self.queue.qsize()))]
            self._write([one for one in taken if isinstance(one, str)])
            if self.queue.empty():
                self._report_lost()
            for one in taken:
                if isinstance(one, threading.Event):
                    one.set()

    def _report_lost(self) -> None:
        with self._counting:
            lost, self._lost = self._lost, 0
        if lost:
            self._write([self._line(logging.WARNING, f"{lost} log lines were lost")])

    def _write(self, lines: Sequence[str]) -> None:
        if lines:
            # Not handle(), which takes the handler's lock: the end of the process closes all
            # handlers, and would wait for the lock while this thread hangs.
            self._output.emit(logging.makeLogRecord({"msg": "\n".join(lines)}))

    def _line(self, level: int, message: str, failure: object = None) -> str:
        """Return a line about the log itself, rendered like all others."""
        fields = {"levelno": level, "levelname": logging.getLevelName(level), "msg": message}
        return self.format(logging.makeLogRecord({**fields, "name": __name__, "exc_info": failure}))
