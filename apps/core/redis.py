"""Redis, for those who can do without it for a while."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django_redis import get_redis_connection
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

T = TypeVar("T")

# A Redis that hangs would hold every request for its time-out; after one failure it is left alone
# for this long, in seconds.
PAUSE = 2.0

_down_until: dict[str, float] = {}


class RedisDown(Exception):
    """Redis did not answer, now or a moment ago."""


def key(name: str) -> str:
    """Return the name of a key, apart from those of other installations on the same Redis."""
    return f"{settings.APP_NAME}:{name}"


def with_redis(alias: str, operation: Callable[[Any], T]) -> T:
    """Return what the operation makes of the client of that cache alias; raise RedisDown."""
    if time.monotonic() < _down_until.get(alias, 0):
        raise RedisDown
    try:
        return operation(get_redis_connection(alias))
    except (RedisError, ConnectionInterrupted, OSError) as error:
        _down_until[alias] = time.monotonic() + PAUSE
        log.warning("redis is down", alias=alias, error=type(error).__name__)
        raise RedisDown from error
