"""How processes notify each other through the database while Redis fails.

Each process listens on a connection of its own (PostgreSQL's LISTEN and NOTIFY). A notice carries
only numbers and controls; the frames are read from the log. It costs every commit that sends one a
lock on the whole database, so it is sent only while Redis fails
(docs/decisions/0020-database-notices.md). SQLite has no notices, and needs none: it serves one
process.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypedDict

import orjson
import psycopg
import structlog
from django.conf import settings
from django.db import connection

from apps.realtime.frames import Wakeup

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5.0
# PostgreSQL takes up to 8,000 bytes; a stream's name and number are less than 130 of them.
STREAMS_AT_ONCE = 60
CONTROLS_AT_ONCE = 50


class Notice(TypedDict):
    """What a process notifies the others of: the heads of streams, and controls, packed."""

    heads: Mapping[str, int]
    controls: list[Any]


def available() -> bool:
    """Return whether the database has notices."""
    return bool(connection.vendor == "postgresql")


def notify(wakeups: list[Wakeup]) -> None:
    """Notify every process, this one included, of the wake-ups. Their signals are left out, since
    they may be lost. Blocks."""
    for notice in _notices(wakeups):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [_channel(), orjson.dumps(notice).decode()])


async def listen(deliver: Callable[[Notice], None]) -> None:
    """Call `deliver` with the notices of all processes until the connection fails; log that."""
    try:
        async with await psycopg.AsyncConnection.connect(**_address(), autocommit=True) as listener:
            await listener.execute(f'LISTEN "{_channel()}"'.encode())
            async for received in listener.notifies():
                _deliver(received.payload, deliver)
    except psycopg.Error as error:
        log.warning("not listening to the database", error=type(error).__name__)


def _deliver(payload: str, deliver: Callable[[Notice], None]) -> None:
    # A notice of another version of the program is no reason to stop listening.
    try:
        deliver(orjson.loads(payload))
    except Exception:
        log.exception("notice not delivered")


def _notices(wakeups: list[Wakeup]) -> Iterator[Notice]:
    heads: dict[str, int] = {}
    controls: list[Any] = []
    for wakeup in wakeups:
        controls += wakeup["controls"]
        for stream, seq, *_ in wakeup["frames"]:
            if seq is not None:
                heads[stream] = max(seq, heads.get(stream, 0))
    names = list(heads)
    for start in range(0, len(names), STREAMS_AT_ONCE):
        some = names[start : start + STREAMS_AT_ONCE]
        yield {"heads": {name: heads[name] for name in some}, "controls": []}
    for start in range(0, len(controls), CONTROLS_AT_ONCE):
        yield {"heads": {}, "controls": controls[start : start + CONTROLS_AT_ONCE]}


def _channel() -> str:
    return f"{settings.APP_NAME}-hubs"


def _address() -> dict[str, Any]:
    """Return the parameters of a connection, without those that only Django's cursors need."""
    parameters = connection.get_connection_params()
    unneeded = ("context", "cursor_factory", "prepare_threshold", "server_side_binding")
    return {name: value for name, value in parameters.items() if name not in unneeded}
