"""A PostgreSQL server that hangs: its connections stay open, and it answers nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from django.conf import settings
from django.db import connection

from testing.server import ServerProcess, until
from testing.servers import PrivatePostgres

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is no server"),
]


@pytest.fixture
def postgres() -> Iterator[PrivatePostgres]:
    """A private server with all tables."""
    with PrivatePostgres() as server:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=settings.BASE_DIR,
            env={**os.environ, "DATABASE_URL": server.url},
            check=True,
        )
        yield server


@contextmanager
def frozen(postgres: PrivatePostgres) -> Iterator[None]:
    """Freeze the server during the block."""
    postgres.freeze()
    try:
        yield
    finally:
        postgres.thaw()


def state(server: ServerProcess) -> tuple[str, int]:
    """Return the state of the database in /health, and the status of /ready."""
    health = server.call("GET", "/health").json()["database"]
    return health, server.call("GET", "/ready").status_code


def read(server: ServerProcess) -> httpx.Response:
    return server.call("GET", "/api/v1/posts")


def test_a_server_reports_a_frozen_database_recovers_and_can_be_stopped(
    start_server: Callable[..., ServerProcess], postgres: PrivatePostgres
) -> None:
    """The server has one connection, which hangs; a new one fails in time. There are more readers
    than threads."""
    server = start_server(DATABASE_URL=postgres.url, SERVER_SHUTDOWN_TIMEOUT="1")
    assert read(server).status_code == 200
    assert state(server) == ("healthy", 200)
    with ThreadPoolExecutor(5) as readers:
        with frozen(postgres):
            hanging = [readers.submit(read, server) for _ in range(5)]
            until(lambda: state(server) == ("unhealthy", 503))
        assert {one.result().status_code for one in hanging} <= {200, 503}
    until(lambda: state(server) == ("healthy", 200))
    assert read(server).status_code == 200

    with ThreadPoolExecutor(1) as readers, frozen(postgres):
        readers.submit(read, server)
        assert server.call("GET", "/ready").status_code == 503
        assert server.stop(signal.SIGTERM) == 0
