"""How a long-running command stops on SIGINT and on SIGTERM, and ends."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from django.core.management.base import OutputWrapper

from apps.core.log_queue import FLUSH_SECONDS

# How long the end of the log and the last line after it may take.
LAST_LINE_SECONDS = FLUSH_SECONDS + 0.5


def when_told_to_stop(act: Callable[[], object]) -> None:
    """Have both signals call `act` from now on. By default SIGTERM ends the process at once, and
    SIGINT raises KeyboardInterrupt wherever the process is."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: act())


@contextmanager
def exit_when_told_to_stop(last_line: str) -> Iterator[None]:
    """Have both signals end the block, by SystemExit, and the process with that line: what the
    block has begun is undone on the way."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    when_told_to_stop(lambda: sys.exit(last_line))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(code: int, last_line: str, output: OutputWrapper) -> NoReturn:
    """Write the rest of the log, then the last line, and end the process with the exit code.

    The interpreter would wait at its end for every thread of the pools, and so for ever for one
    that hangs in a frozen database. A reader that does not read the output delays the end by no
    more than LAST_LINE_SECONDS.
    """

    def write() -> None:
        logging.shutdown()
        output.write(last_line)
        output.flush()

    writing = threading.Thread(target=write, name="last line", daemon=True)
    writing.start()
    writing.join(LAST_LINE_SECONDS)
    os._exit(code)
