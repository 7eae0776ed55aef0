"""A server that is told to stop says so to its sockets."""

import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from django.conf import settings

from apps.accounts.tests.people import Person
from apps.realtime.models import LastSeen
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_sockets_are_told_to_come_back(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server()
    with TestSocket(server.url, token=alice.access) as hers:
        hers.expect("connected")
        assert server.stop() == 0
        assert hers.closed_with() == 1012


@pytest.mark.skipif(bool(settings.REDIS_URL), reason="With Redis, another process takes it up.")
def test_a_process_that_is_all_there_is_notes_when_people_were_last_seen(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server()
    with TestSocket(server.url, token=alice.access) as hers:
        hers.expect("connected")
        server.stop()
    assert LastSeen.objects.filter(user=alice.user).exists()


def test_a_refused_upgrade_does_not_keep_the_others_from_being_told(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """Its websocket has failed before it was one."""
    server = start_server()
    with TestSocket(server.url, token=alice.access) as hers:
        hers.expect("connected")
        with ExitStack() as opened:
            for _ in range(8):
                one = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                one.sendall(
                    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nContent-Length: 1\r\n\r\nx"
                )
                # Refused, and its connection is still there.
                assert one.recv(1)
            assert server.stop() == 0
        assert hers.closed_with() == 1012
