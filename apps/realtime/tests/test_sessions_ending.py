"""The sockets of a session that ended are closed at once, in every process."""

from collections.abc import Callable

import pytest

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_a_logout_closes_only_the_sockets_of_its_session(
    server: ServerProcess, alice: Person
) -> None:
    tablet = alice.another_device()
    with (
        TestSocket(server.url, token=alice.access) as phone,
        TestSocket(server.url, token=tablet.access) as other,
    ):
        headers = {"Authorization": f"Bearer {alice.access}"}
        server.call("POST", "/api/v1/auth/logout", headers=headers)
        assert phone.closed_with() == 4501
        assert other.ask("ping")["type"] == "pong"


def test_a_change_of_password_closes_the_sockets_of_other_sessions(
    server: ServerProcess, alice: Person
) -> None:
    tablet = alice.another_device()
    with (
        TestSocket(server.url, token=alice.access) as phone,
        TestSocket(server.url, token=tablet.access) as other,
    ):
        server.call(
            "POST",
            "/api/v1/auth/password/change",
            json={"currentPassword": "correct horse 9", "newPassword": "another horse 7"},
            headers={"Authorization": f"Bearer {alice.access}"},
        )
        assert other.closed_with() == 4501
        assert phone.ask("ping")["type"] == "pong"


def test_the_sweep_closes_the_sockets_of_sessions_whose_end_was_not_received(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    """The rows change without a control to this process, so that only the sweep can notice."""
    server = start_server(PARLEY_TAMPER="hurried")
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=bob.access) as bob_socket,
    ):
        User.objects.filter(pk=bob.user.pk).delete()
        User.objects.filter(pk=alice.user.pk).update(status=User.Status.BANNED)
        assert alice_socket.closed_with() == 4501
        assert bob_socket.closed_with() == 4501


def test_a_process_without_the_sweep_does_not_close_them(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """The test above catches a build without the safeguard."""
    server = start_server(PARLEY_TAMPER="hurried,never-sweeps")
    with TestSocket(server.url, token=alice.access) as alice_socket:
        User.objects.filter(pk=alice.user.pk).update(status=User.Status.BANNED)
        for _ in range(3):
            alice_socket.expect("heartbeat")
        assert alice_socket.ask("ping")["type"] == "pong"
