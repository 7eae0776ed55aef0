"""What a server says once the port is its own: where it is, and what its operator should know.

A line is a name and a sentence. More of them belong into `_facts`.
"""

from collections.abc import Iterator

from django.conf import settings

from apps.core.redis import why_redis_is_away
from config.database_problems import database_place
from config.start_notices import start_notices

EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104


def banner(port: int, processes: int) -> str:
    """Return the lines of the start."""
    several = f" in {processes} processes" if processes > 1 else ""
    facts = [f"  {name:<6} {sentence}" for name, sentence in _facts(port)]
    return "\n".join(
        [f"Parley {settings.APP_VERSION} on {_address(port)}{several}", *facts, *start_notices()]
    )


def _facts(port: int) -> Iterator[tuple[str, str]]:
    yield "docs", f"{_address(port)}/docs/index.html"
    yield "admin", f"{_address(port)}/admin/"
    yield "data", f"{database_place()}, {_redis_place()}"
    if reason := why_redis_is_away():
        yield (
            "redis",
            f"Redis does not answer: {reason}. Start it, or correct REDIS_URL. Until then each "
            "process limits by itself, and events between processes come late.",
        )


def _address(port: int) -> str:
    host = settings.SERVER_HOST
    if host in EVERY_ADDRESS:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _redis_place() -> str:
    return "Redis" if settings.REDIS_URL else "everything else in this process"
