"""The one line that each request logs.

On a busy server this is one of the most frequent things that it does, and the way through structlog
and logging takes a tenth of a millisecond. So the usual formats are rendered here.
"""

import logging
from functools import lru_cache

import orjson
import structlog

from apps.core.http.envelope import timestamp
from apps.core.log_queue import LogQueue

NAME, EVENT = "parley.request", "request"
# Of how many methods and routes the text is remembered.
REMEMBERED = 512

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
    queue = _root.handlers[0] if len(_root.handlers) == 1 else None
    if isinstance(queue, LogQueue) and (line := _LINES.get(queue.form)):
        queue.write(line(method, route, status, ms, request_id, user_id, at or timestamp()))
    else:
        # A terminal with colours, or a handler that somebody else added, such as that of a test.
        user = {"user_id": user_id} if user_id else {}
        log.info(
            EVENT,
            method=method,
            route=route,
            status=status,
            ms=round(ms, 1),
            request_id=request_id,
            **user,
        )


# Ids and times have no characters that need quoting, and they differ in each line.


def _json(
    method: str, route: str | None, status: int, ms: float, request_id: str, user_id: str, at: str
) -> str:
    user = f'"user_id":"{user_id}",' if user_id else ""
    return (
        f'{{"method":{_quoted(method)},"route":{_quoted(route)},"status":{status},"ms":{ms:.1f},'
        f'"request_id":"{request_id}",{user}"event":"{EVENT}","level":"info","logger":"{NAME}",'
        f'"timestamp":"{at}"}}'
    )


def _console(
    method: str, route: str | None, status: int, ms: float, request_id: str, user_id: str, at: str
) -> str:
    user = f" user_id={user_id}" if user_id else ""
    return (
        f"{at} [info     ] {EVENT:<30} [{NAME}] method={method} ms={ms:.1f} "
        f"request_id={request_id} route={route} status={status}{user}"
    )


@lru_cache(REMEMBERED)
def _quoted(text: str | None) -> str:
    return orjson.dumps(text).decode()


_LINES = {"json": _json, "console": _console}
