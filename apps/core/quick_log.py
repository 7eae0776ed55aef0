"""Lines at the level info that are logged so often that the way through structlog and logging, a
tenth of a millisecond, would be felt."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from apps.core.http.envelope import timestamp
from apps.core.log_lines import line_json, line_text
from apps.core.log_queue import LogQueue

_root = logging.getLogger()
_RENDERERS: Mapping[str, Callable[..., str]] = {"json": line_json, "console": line_text}


def quick_queue() -> LogQueue | None:
    """Return the queue to which rendered lines may be written at once; None if there is another
    handler, such as that of a test."""
    queue = _root.handlers[0] if len(_root.handlers) == 1 else None
    return queue if isinstance(queue, LogQueue) and queue.form else None


class QuickLog:
    """A logger of lines whose fields are plain text, numbers, or mappings of text to numbers."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger = logging.getLogger(name)
        self._slow = structlog.get_logger(name)

    def info(self, event: str, **fields: Any) -> None:
        """Log an event."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        if queue := quick_queue():
            queue.write(_RENDERERS[queue.form](event, self._name, timestamp(), fields))
        else:
            self._slow.info(event, **fields)
