"""What it costs to flush every commit of SQLite to disk: python -m bench.durability.

`synchronous` NORMAL and FULL in turn, for docs/decisions/0013-sqlite-durability.md: bare commits,
changes over REST, each a commit, and messages over websockets, many to a commit.
"""

import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from statistics import median
from threading import Thread
from typing import Any

from bench.messages import CONNECTED, PEOPLE, Setup, offer, warm_up
from bench.servers import ROOT, Backend, Server, User, parley
from bench.sockets import Crowd, allow_open_files

MODES = ("NORMAL", "FULL")
ROUNDS = 8
SECONDS = 4
CLIENTS = 4


class SqliteBackend(Backend):
    """Like one on PostgreSQL, in a file."""

    def rows(self, sql: str) -> list[Any]:
        """Return the rows that the statement gives."""
        with closing(sqlite3.connect(self.database_url.removeprefix("sqlite://"))) as connection:
            return connection.execute(sql).fetchall()


@contextmanager
def start_sqlite_backend(mode: str) -> Iterator[SqliteBackend]:
    """Yield a fresh database on the disk of this folder, with Parley's tables."""
    (ROOT / "var").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as folder:
        url = f"sqlite://{folder}/parley.sqlite3"
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DATABASE_URL": url,
            "PARLEY_SYNCHRONOUS": mode,
            "SERVER_HOST": "127.0.0.1",
            "SERVER_CONNECTIONS_PER_ADDRESS": "0",
            "APP_ENV": "test",
            "APP_SECRET_KEY": secrets.token_urlsafe(64),
            "JWT_SECRET": secrets.token_urlsafe(64),
            "LOG_LEVEL": "warning",
            "RATE_LIMIT_REQUESTS_PER_SECOND": "1000000",
            "RATE_LIMIT_BURST": "1000000",
            "DJANGO_SETTINGS_MODULE": "bench.settings_synchronous",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, env=environment, cwd=ROOT, check=True)
        yield SqliteBackend(url, environment)


def commits(backend: SqliteBackend, mode: str) -> float:
    """Return how many transactions of one row each a bare connection commits per second."""
    path = backend.database_url.removeprefix("sqlite://")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA synchronous={mode}")
        connection.execute("CREATE TABLE bare (text)")
        done, end = 0, time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            connection.execute("INSERT INTO bare VALUES (?)", ["x" * 400])
            done += 1
    return done / SECONDS


def changes(server: Server, users: list[User]) -> float:
    """Return how many changes of profiles a few clients make per second, all at once."""
    done: list[int] = []
    end = time.perf_counter() + SECONDS

    def work(user: User) -> None:
        connection, count = HTTPConnection("127.0.0.1", server.port), 0
        headers = {"Authorization": f"Bearer {user.token}", "Content-Type": "application/json"}
        while time.perf_counter() < end:
            body = f'{{"bio": "{count}"}}'
            connection.request("PATCH", "/api/v1/auth/profile", body, headers)
            response = connection.getresponse()
            response.read()
            count += response.status == 200
        done.append(count)

    threads = [Thread(target=work, args=[user]) for user in users[:CLIENTS]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / SECONDS


def measured(mode: str) -> dict[str, float]:
    """Return the figures of one round."""
    with start_sqlite_backend(mode) as backend:
        users = backend.users(PEOPLE)
        with parley(backend, "bench.settings_synchronous") as server, Crowd(server.port) as crowd:
            crowd.join([user.token for user in users], CONNECTED)
            setup = Setup(backend, server, crowd, users)
            warm_up(setup)
            sent = offer(setup, None, SECONDS, "round")
            waits = [one * 1000 for one in sent.waits(sent.acked)]
            return {
                "commits/s": commits(backend, mode),
                "changes/s": changes(server, users),
                "messages/s": sent.per_second(sent.stored, sent.acked),
                "ack p50 ms": median(waits),
            }


def main() -> None:
    """Measure in turn and print medians, with the lowest and the highest of the rounds."""
    allow_open_files(4 * PEOPLE)
    found: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
    for number in range(ROUNDS):
        # Neither is always the first.
        for mode in MODES[:: -1 if number % 2 else 1]:
            found[mode].append(measured(mode))
    for name in found[MODES[0]][0]:
        for mode in MODES:
            values = sorted(one[name] for one in found[mode])
            print(f"{name:12} {mode:7} {median(values):8.0f}  ({values[0]:.0f}..{values[-1]:.0f})")


if __name__ == "__main__":
    main()
