"""How a command that runs for long is told to stop, by SIGINT and by SIGTERM alike, and ends."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

from django.core.management.base import OutputWrapper

from apps.core.log_queue import FLUSH_SECONDS

# The last of the log, and the last words behind it.
LAST_WORDS_SECONDS = FLUSH_SECONDS + 0.5


def when_told_to_stop(act: Callable[[], None]) -> None:
    """Have both signals call `act` from now on. By default SIGTERM ends a process between two of
    its lines, and SIGINT wherever it happens to be."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: act())


def end(code: int, last_words: str, output: OutputWrapper) -> NoReturn:
    """Write what is left of the log, then the last words, and end the process with the exit code.

    The interpreter's own end waits for every thread of the pools, and one that hangs in a frozen
    database would keep the process from ever ending. Nor is whoever reads the output waited for
    any longer than LAST_WORDS_SECONDS.
    """

    def speak() -> None:
        logging.shutdown()
        output.write(last_words)
        output.flush()

    speaking = threading.Thread(target=speak, name="last words", daemon=True)
    speaking.start()
    speaking.join(LAST_WORDS_SECONDS)
    os._exit(code)
