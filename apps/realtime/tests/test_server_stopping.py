"""A server that stops closes its sockets with a code of its own."""

import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from django.conf import settings
from websockets.exceptions import InvalidStatus

from apps.accounts.tests.people import Person
from apps.realtime.models import LastSeen
from testing.server import ServerProcess, until
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_a_server_that_stops_tells_its_sockets_to_come_back(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server()
    with TestSocket(server.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        assert server.stop() == 0
        assert alice_socket.closed_with() == 1012


def test_a_server_that_stops_says_no_first_and_ends_its_sockets_one_after_the_other(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server(PARLEY_TAMPER="slow-end", SERVER_SHUTDOWN_TIMEOUT="16")
    with ExitStack() as opened:
        sockets = [
            opened.enter_context(TestSocket(server.url, token=alice.access)) for _ in range(3)
        ]
        for one in sockets:
            one.expect("connected")
        server.send(signal.SIGTERM)
        until(lambda: server.call("GET", "/ready").status_code == 503)
        # Requests are served, and no websocket is opened, while the last sockets are open.
        assert server.call("GET", "/api/v1/posts").status_code == 200
        with pytest.raises(InvalidStatus) as refused:
            TestSocket(server.url, token=alice.access).__enter__()
        assert refused.value.response.status_code == 503
        began = time.monotonic()
        assert {one.closed_with() for one in sockets} == {1012}
        assert server.stop() == 0
        assert time.monotonic() - began < 16


def test_a_server_that_does_not_say_so_opens_sockets_until_its_end(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server(PARLEY_TAMPER="slow-end,never-says-so", SERVER_SHUTDOWN_TIMEOUT="16")
    with ExitStack() as opened:
        for _ in range(3):
            one = opened.enter_context(TestSocket(server.url, token=alice.access))
            one.expect("connected")
        server.send(signal.SIGTERM)
        assert server.call("GET", "/ready").status_code == 200
        opened.enter_context(TestSocket(server.url, token=alice.access)).expect("connected")


@pytest.mark.skipif(bool(settings.REDIS_URL), reason="With Redis, another process announces it.")
def test_the_only_process_stores_when_its_users_were_last_seen(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server()
    with TestSocket(server.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        server.stop()
    assert LastSeen.objects.filter(user=alice.user).exists()


def test_a_refused_upgrade_does_not_keep_the_server_from_closing_the_others(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """The handshake of such a websocket failed, and its connection is open."""
    server = start_server()
    with TestSocket(server.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        with ExitStack() as opened:
            for _ in range(8):
                one = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                one.sendall(
                    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nContent-Length: 1\r\n\r\nx"
                )
                # It is refused, and its connection stays open.
                assert one.recv(1)
            assert server.stop() == 0
        assert alice_socket.closed_with() == 1012
