"""A connection to PostgreSQL that failed, or that the server ended, is replaced before a request
notices."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import close_old_connections, connection, connections

from apps.accounts.tests.people import Person
from apps.core.db.postgresql import base
from testing.server import ServerProcess, until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is no server"),
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The answers of all queries that asked a connection whether it works."""
    answers: list[bool] = []
    is_usable = base.DatabaseWrapper.is_usable

    def noted(self: base.DatabaseWrapper) -> bool:
        answers.append(is_usable(self))
        return answers[-1]

    monkeypatch.setattr(base.DatabaseWrapper, "is_usable", noted)
    return answers


@contextmanager
def in_server_thread() -> Iterator[Callable[[], int]]:
    """A function that does in a thread of its own what a request does, and returns the id of the
    connection's process."""

    def request() -> int:
        close_old_connections()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid: int = cursor.fetchone()[0]
        close_old_connections()
        return pid

    with ThreadPoolExecutor(1) as thread:
        yield lambda: thread.submit(request).result()
        thread.submit(connections.close_all).result()


def end(*pids: int) -> None:
    """Have PostgreSQL end the connections, and wait until it did."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [list(pids)])

        def ended() -> bool:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ANY(%s)", [list(pids)])
            return cursor.fetchone() is None

        until(ended)


def test_a_connection_in_use_is_not_asked_each_time(
    asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "ASK_SECONDS", 3600.0)
    with in_server_thread() as request:
        pids = {request() for _ in range(5)}
    assert len(pids) == 1
    assert len(asked) == 1


def test_a_connection_that_lay_idle_is_asked(
    asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "ASK_SECONDS", 0.0)
    with in_server_thread() as request:
        pids = {request() for _ in range(3)}
    assert len(pids) == 1
    # The first request opened it.
    assert asked == [True, True]


def test_a_connection_that_the_server_ended_is_replaced(
    asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "ASK_SECONDS", 3600.0)
    with in_server_thread() as request:
        request()
        before = request()
        end(before)
        assert request() != before
    assert asked == [True, False]


def test_a_connection_that_was_closed_unnoticed_is_replaced() -> None:
    for _ in range(2):
        close_old_connections()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    closed = connection.connection
    closed.close()
    close_old_connections()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    assert connection.connection is not closed


@pytest.mark.integration
def test_no_request_fails_when_every_connection_of_a_server_is_ended(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server(APP_NAME="parley-test-ended")
    headers = {"Authorization": f"Bearer {alice.access}"}

    def statuses() -> set[int]:
        with ThreadPoolExecutor(8) as clients:
            calls = [
                clients.submit(server.call, method, path, headers=headers)
                for _ in range(8)
                for method, path in (
                    ("GET", "/api/v1/auth/profile"),
                    ("POST", "/api/v1/auth/ws-ticket"),
                )
            ]
            return {call.result().status_code for call in calls}

    assert statuses() == {200}
    for _ in range(3):
        end(*connections_of_others())
        assert statuses() == {200}


def connections_of_others() -> list[int]:
    """Return the ids of all connections to this database but this one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return [pid for (pid,) in cursor.fetchall()]
