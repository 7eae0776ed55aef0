"""The whole suite on both backends: python -m testing.suite [arguments for pytest].

It runs first on SQLite, the default, and then on PostgreSQL and Redis: on the servers that
DATABASE_URL and REDIS_URL name, or else on private ones that end with the run. It never uses a
server that is not named.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import cast
from urllib.parse import urlsplit

import psycopg
import redis

from testing.binaries import ServerUnavailable
from testing.servers import private_postgres, private_redis

# A run chooses its backend itself, whatever a developer has set.
BACKEND_SETTINGS = ("DATABASE_URL", "REDIS_URL", "DB_HOST", "REDIS_HOST")
DEFAULT_ARGUMENTS = ("-n", "2")


def main(arguments: Sequence[str]) -> int:
    """Run pytest on both backends and return 0 only if all of it passed."""
    print("== tests on SQLite and in-process hub (embedded default)", flush=True)
    embedded = run_pytest(arguments, {})
    if embedded < 0:
        # A signal ended pytest, and is meant for the whole run.
        return 1
    with ExitStack() as stack:
        try:
            servers, description = find_servers(stack)
        except ServerUnavailable as reason:
            print(f"== SKIPPED: nothing was tested on PostgreSQL and Redis. {reason}", flush=True)
            return embedded or int(os.environ.get("CI") == "true")
        except (psycopg.Error, redis.RedisError) as error:
            # A server that is named is to be tested, so the run fails instead of skipping it.
            print(f"== FAILED: a server that was named does not answer. {error}", flush=True)
            return 1
        print(f"== tests on {description}", flush=True)
        return run_pytest(arguments, servers) or embedded


def find_servers(stack: ExitStack) -> tuple[dict[str, str], str]:
    """Return the settings that name both servers, and a phrase with their versions and ports.

    Private servers run until the stack is closed. Raises ServerUnavailable when there are none,
    and the client's error when a named one does not answer.
    """
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    origins = ["named" if url else "private" for url in (database_url, redis_url)]
    database_url = database_url or stack.enter_context(private_postgres())
    redis_url = redis_url or stack.enter_context(private_redis())
    ports = f"{urlsplit(database_url).port or 5432}/{urlsplit(redis_url).port or 6379}"
    return (
        {"DATABASE_URL": database_url, "REDIS_URL": redis_url},
        f"PostgreSQL {postgres_version(database_url)} and Redis {redis_version(redis_url)} "
        f"({' and '.join(dict.fromkeys(origins))}, port {ports})",
    )


def run_pytest(arguments: Sequence[str], servers: Mapping[str, str]) -> int:
    """Run pytest in a new process with these servers and no others; return its exit code."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE") not in BACKEND_SETTINGS
    }
    command = [sys.executable, "-m", "pytest", *DEFAULT_ARGUMENTS, *arguments]
    child = subprocess.Popen(command, env={**environment, **servers, "APP_ENV": "test"})
    previous = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        return child.wait()
    except KeyboardInterrupt:
        # The terminal has interrupted pytest too, and its fixtures must still clean up.
        child.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def postgres_version(url: str) -> str:
    """Return the version of the server; raises psycopg.Error when it does not answer."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        return (connection.info.parameter_status("server_version") or "?").split()[0]


def redis_version(url: str) -> str:
    """Return the version of the server; raises redis.RedisError when it does not answer."""
    with redis.Redis.from_url(url, socket_connect_timeout=5) as client:
        about = cast("dict[str, str]", client.info("server"))
        return about["redis_version"]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
