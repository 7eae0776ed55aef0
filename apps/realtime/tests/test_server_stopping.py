"""A server that is told to stop says so to its sockets."""

from collections.abc import Callable

import pytest
from django.conf import settings

from apps.accounts.tests.people import Person
from apps.core.testing.server import ServerProcess
from apps.core.testing.socket import TestSocket
from apps.realtime.models import LastSeen

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
