"""How processes tell each other to look when the channel layer does not: through the database.

Each process listens on a connection of its own (PostgreSQL's LISTEN and NOTIFY). Only numbers go
this way, and controls: the frames are read from the log. It costs every
commit that uses it a lock on the whole database, and so it is used only while the layer fails
(docs/decisions/0020-database-notices.md). On SQLite there is no such way, nor any need for one.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypedDict

import orjson
import psycopg
import structlog
from django.conf import settings
from django.db import connection

from apps.realtime.wakeups import Wakeup

log = structlog.get_logger(__name__)

RETRY_SECONDS = 5.0
# PostgreSQL takes up to 8,000 bytes; a stream's name and number are less than 130 of them.
STREAMS_AT_ONCE = 60
CONTROLS_AT_ONCE = 50


class Notice(TypedDict):
    """What a process tells the others: the heads of streams, and controls, packed."""

    heads: Mapping[str, int]
    controls: list[Any]


def available() -> bool:
    """Return whether the database has such a way."""
    return bool(connection.vendor == "postgresql")


def notify(wakeups: list[Wakeup]) -> None:
    """Tell every process, this one included, what it would hear of the wake-ups. Signals are not
    told: they may be lost. Blocks."""
    for look in _looks(wakeups):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [_channel(), orjson.dumps(look).decode()])


async def listen(take: Callable[[Notice], None]) -> None:
    """Hand over what any process tells, for as long as the task runs."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(**_address(), autocommit=True) as here:
                await here.execute(f'LISTEN "{_channel()}"'.encode())
                async for told in here.notifies():
                    _hand_over(told.payload, take)
        except psycopg.Error as error:
            log.warning("not listening to the database", error=type(error).__name__)
        await asyncio.sleep(RETRY_SECONDS)


def _hand_over(payload: str, take: Callable[[Notice], None]) -> None:
    # Whatever another version of the program says is no reason to stop listening.
    try:
        take(orjson.loads(payload))
    except Exception:
        log.exception("word of another process not taken")


def _looks(wakeups: list[Wakeup]) -> Iterator[Notice]:
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
    """Return how the database is reached, without what only Django's cursors need."""
    given = connection.get_connection_params()
    own = ("context", "cursor_factory", "prepare_threshold", "server_side_binding")
    return {name: value for name, value in given.items() if name not in own}
