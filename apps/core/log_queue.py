"""Log lines wait in a bounded queue for the thread that writes them, and nothing waits for it."""

import logging
import logging.handlers
import sys
import threading
from collections.abc import Sequence
from queue import SimpleQueue

# Some twenty seconds of a server that is always busy, and 1.5 MB of lines of requests.
MOST_LINES = 4096
# How long the end of the process may wait for whoever reads the log.
FLUSH_SECONDS = 1.0


class LogQueue(logging.handlers.QueueHandler):
    """Renders each line where it is logged, and has a thread of its own give it to `output`.

    While MOST_LINES wait no more are taken, until all of these are written. Those that come
    meanwhile are counted, and a line that says how many stands in their place.
    """

    # Not a `queue.Queue`: a destructor that logs in the midst of its `put` would wait for itself.
    queue: SimpleQueue[str | threading.Event | None]

    def __init__(self, output: logging.Handler) -> None:
        super().__init__(SimpleQueue())
        self._output = output
        self._lost = 0
        self._counting = threading.RLock()
        # Not a QueueListener, which writes one line each time that it gets its turn, and whose end
        # waits without bound.
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Put the line into the queue, or count it as lost. One thread at a time comes here."""
        if not self._is_lost():
            super().emit(record)

    def prepare(self, record: logging.LogRecord) -> str:
        """Return the line. It is rendered by the thread that logs it, which has the context, the
        exception, and arguments that may change."""
        return self.format(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Log that a line could not be rendered. Others print it to stderr, which may hang."""
        what = f"a log line could not be rendered ({record.pathname}:{record.lineno})"
        self.queue.put(self._line(logging.ERROR, what, sys.exc_info()))

    def flush(self) -> None:
        """Wait until what was logged is written, for FLUSH_SECONDS at most."""
        written = threading.Event()
        self.queue.put(written)
        written.wait(FLUSH_SECONDS)

    def close(self) -> None:
        """Have the writer end when it has written what there is."""
        self.queue.put(None)
        super().close()

    def _is_lost(self) -> bool:
        with self._counting:
            if self._lost or self.queue.qsize() >= MOST_LINES:
                self._lost += 1
            return self._lost > 0

    def _run(self) -> None:
        taken: Sequence[str | threading.Event | None] = []
        while None not in taken:
            # All that wait, in one write: while other threads are busy, this one has its turn too
            # rarely for one line each time.
            taken = [self.queue.get(), *(self.queue.get() for _ in range(self.queue.qsize()))]
            self._write([one for one in taken if isinstance(one, str)])
            if self.queue.empty():
                self._tell_lost()
            for one in taken:
                if isinstance(one, threading.Event):
                    one.set()

    def _tell_lost(self) -> None:
        with self._counting:
            lost, self._lost = self._lost, 0
        if lost:
            self._write([self._line(logging.WARNING, f"{lost} log lines were lost")])

    def _write(self, lines: Sequence[str]) -> None:
        if lines:
            # Not handle(), which locks it: the end of the process, which closes all handlers, would
            # wait for the lock while this thread hangs.
            self._output.emit(logging.makeLogRecord({"msg": "\n".join(lines)}))

    def _line(self, level: int, message: str, failure: object = None) -> str:
        """Return a line of our own, rendered like all others."""
        said = {"levelno": level, "levelname": logging.getLevelName(level), "msg": message}
        return self.format(logging.makeLogRecord({**said, "name": __name__, "exc_info": failure}))
