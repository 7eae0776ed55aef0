"""Limits on the connections of a process, and on those of each network."""

import resource
import socket
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from apps.accounts.tests.people import Person
from apps.core.http import connections
from apps.core.http.connections import Connections, raise_file_limit
from apps.core.tests.raw import send
from testing.server import ServerProcess, until
from testing.socket import TestSocket

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_the_connections_of_a_network_are_limited(settings: Settings) -> None:
    settings.SERVER_CONNECTIONS_PER_ADDRESS = 2
    counted: Any = Connections()
    assert counted.acquire("1", "192.0.2.1")
    assert counted.acquire("2", "::ffff:192.0.2.1")
    assert not counted.acquire("3", "192.0.2.1")
    assert counted.acquire("4", "192.0.2.2")
    for transport in ("1", "1", "3"):
        counted.release(transport)
    assert counted.acquire("5", "192.0.2.1")
    assert not counted.acquire("6", "192.0.2.1")


@pytest.mark.parametrize("proxies", [0, 1])
@pytest.mark.parametrize(
    ("files", "most"), [(4, 100), (100, 4), (resource.RLIM_INFINITY, 4)], ids=str
)
def test_connections_take_half_of_the_files_of_a_process_at_most(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, files: int, most: int, proxies: int
) -> None:
    """Without free files there is no database, and so no answer for connected clients."""
    settings.SERVER_CONNECTIONS_PER_ADDRESS = 0
    settings.SERVER_TRUSTED_PROXIES = proxies
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    monkeypatch.setattr(connections, "MOST_FILES", most)
    counted: Any = Connections()
    assert [counted.acquire(str(number), f"192.0.2.{number}") for number in range(3)] == [
        True,
        True,
        False,
    ]


def test_a_server_may_open_as_many_files_as_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] // 2, before[1]))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= before[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    "changes",
    [{"SERVER_CONNECTIONS_PER_ADDRESS": 0}, {"SERVER_TRUSTED_PROXIES": 1}],
    ids=["no limit", "behind a proxy"],
)
def test_the_limit_of_a_network_can_be_switched_off(
    settings: Settings, changes: dict[str, int]
) -> None:
    settings.SERVER_CONNECTIONS_PER_ADDRESS = 1
    for name, value in changes.items():
        setattr(settings, name, value)
    counted: Any = Connections()
    assert all(counted.acquire(str(number), "192.0.2.1") for number in range(10))


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_websocket_counts_as_a_connection_until_it_closes(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server(SERVER_CONNECTIONS_PER_ADDRESS="2")

    def accepts() -> bool:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            send(connection, GET)
            try:
                return connection.recv(1) != b""
            except ConnectionResetError:
                return False

    until(accepts)
    with TestSocket(server.url, token=alice.access) as first:
        first.expect("connected")
        with TestSocket(server.url, token=alice.access) as second:
            second.expect("connected")
            assert not accepts()
        until(accepts)
        assert first.ask("ping")["type"] == "pong"
    until(lambda: "too many connections" in server.log.read_text())
