"""How a command that runs for long is told to stop: by SIGINT and by SIGTERM alike."""

import signal
from collections.abc import Callable


def when_told_to_stop(act: Callable[[], None]) -> None:
    """Have both signals call `act` from now on. By default SIGTERM ends a process between two of
    its lines, and SIGINT wherever it happens to be."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: act())
