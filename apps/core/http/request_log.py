"""The one line that each request logs.

On a busy server this is one of the most frequent things that it does, and the way through structlog
and logging takes a tenth of a millisecond. So the usual formats are rendered by f-strings
(apps/core/log_lines.py).
"""

import logging
from functools import lru_cache
from urllib.parse import quote

import structlog
from django.conf import settings

from apps.core.addresses import address_of, area_of
from apps.core.http.envelope import timestamp
from apps.core.log_lines import (
    REMEMBERED,
    REQUEST_EVENT,
    REQUEST_LOGGER,
    request_json,
    request_text,
)
from apps.core.metrics import REQUEST_SECONDS, Histogram
from apps.core.quick_log import quick_queue

# What is shown of a path, in characters.
LONGEST_PATH = 128

REQUESTS = Histogram(
    "parley_http_request_duration_seconds",
    "From the arrival of a request to its answer; one that waits for events counts as long.",
    ("method", "route", "status"),
    REQUEST_SECONDS,
)
_CLASSES = ("", "1xx", "2xx", "3xx", "4xx", "5xx")

log = structlog.get_logger(REQUEST_LOGGER)
_logger = logging.getLogger(REQUEST_LOGGER)
_LINES = {"json": request_json, "console": request_text}
_LEVELS = {logging.DEBUG: "debug", logging.INFO: "info"}


def log_request(
    *,
    method: str,
    route: str | None,
    status: int,
    ms: float,
    request_id: str,
    path: str = "",
    user_id: str = "",
    address: str = "",
    created: str = "",
    level: int = logging.INFO,
    at: str = "",
) -> None:
    """Log a request, and count it.

    `route` is the template of its path; `path` stands in its place if that is None. `ms` is how
    many milliseconds it took, `address` that of the client, `created` the id of what it created.
    The level is debug or info; `at` is the present time as text, if the caller has it.
    """
    REQUESTS.observe((method, route or "other", _CLASSES[status // 100]), ms / 1000)
    if not _logger.isEnabledFor(level):
        return
    shown = "" if route else shown_path(path)
    client = shown_address(address)
    if queue := quick_queue():
        queue.write(
            _LINES[queue.form](
                method,
                route,
                shown,
                status,
                ms,
                request_id,
                user_id,
                client,
                created,
                _LEVELS[level],
                at or timestamp(),
            )
        )
        return
    # A handler that somebody else added, such as that of a test.
    optional = {"path": shown, "user_id": user_id, "address": client, "created": created}
    log.log(
        level,
        REQUEST_EVENT,
        method=method,
        route=route,
        status=status,
        ms=round(ms, 1),
        request_id=request_id,
        **{name: value for name, value in optional.items() if value},
    )


def shown_path(path: str) -> str:
    """Return a path as it stands in a line. It is bounded, and all but the plain characters are
    encoded as in an address, so that it can neither end the line nor change a terminal."""
    plain = quote(path[:LONGEST_PATH], safe="/:@!$()*+,;=~-._", errors="replace")
    return plain[:LONGEST_PATH]


@lru_cache(REMEMBERED)
def shown_address(address: str) -> str:
    """Return what LOG_CLIENT_ADDRESS lets a line show of an address, nothing for other text."""
    how, area = settings.LOG_CLIENT_ADDRESS, area_of(address)
    if how == "none" or not area:
        return ""
    return address_of(address) if how == "full" else area
