"""Whether this server is about to stop."""

import threading

_stopping = threading.Event()


def begin_stopping() -> None:
    """Have /ready say no, and open no more websockets."""
    _stopping.set()


def is_stopping() -> bool:
    """Return whether the server is about to stop."""
    return _stopping.is_set()
