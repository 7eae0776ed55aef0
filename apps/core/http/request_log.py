"""The one line that each request logs.

On a busy server this is one of the most frequent things that it does, and the way through structlog
and logging takes a tenth of a millisecond. So the usual formats are rendered here.
"""

import logging
from typing import Any

import orjson
import structlog

from apps.core.http.envelope import timestamp
from apps.core.log_queue import LogQueue

NAME, EVENT = "parley.request", "request"

log = structlog.get_logger(NAME)
_logger = logging.getLogger(NAME)
_root = logging.getLogger()


def log_request(
    *,
    method: str,
    route: str | None,
    status: int,
    ms: float,
    request_id: str,
    user_id: str = "",
    at: str = "",
) -> None:
    """Log a request. `route` is the template of its path, None if it has none; `ms` is how many
    milliseconds it took; `at` is the present time as text, if the caller has it."""
    if not _logger.isEnabledFor(logging.INFO):
        return
    fields: dict[str, Any] = {
        "method": method,
        "route": route,
        "status": status,
        "ms": round(ms, 1),
        "request_id": request_id,
    }
    if user_id:
        fields["user_id"] = user_id
    queue = _root.handlers[0] if len(_root.handlers) == 1 else None
    if isinstance(queue, LogQueue) and queue.form in _RENDERERS:
        queue.write(_RENDERERS[queue.form](fields, at or timestamp()))
    else:
        # A terminal with colours, or a handler that somebody else added, such as that of a test.
        log.info(EVENT, **fields)


def _json(fields: dict[str, Any], at: str) -> str:
    line = {**fields, "event": EVENT, "level": "info", "logger": NAME, "timestamp": at}
    return orjson.dumps(line).decode()


def _console(fields: dict[str, Any], at: str) -> str:
    values = " ".join(f"{name}={value}" for name, value in sorted(fields.items()))
    return f"{at} [info     ] {EVENT:<30} [{NAME}] {values}"


_RENDERERS = {"json": _json, "console": _console}
