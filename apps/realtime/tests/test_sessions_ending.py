"""Who may no longer be there is out at once, on every process (original defect 33)."""

from collections.abc import Callable

import pytest

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_a_logout_closes_the_sockets_of_its_session_only(
    server: ServerProcess, alice: Person
) -> None:
    tablet = alice.another_device()
    with (
        TestSocket(server.url, token=alice.access) as phones,
        TestSocket(server.url, token=tablet.access) as tablets,
    ):
        headers = {"Authorization": f"Bearer {alice.access}"}
        server.call("POST", "/api/v1/auth/logout", headers=headers)
        assert phones.closed_with() == 4501
        assert tablets.ask("ping")["type"] == "pong"


def test_a_change_of_password_closes_all_others(server: ServerProcess, alice: Person) -> None:
    tablet = alice.another_device()
    with (
        TestSocket(server.url, token=alice.access) as phones,
        TestSocket(server.url, token=tablet.access) as tablets,
    ):
        server.call(
            "POST",
            "/api/v1/auth/password/change",
            json={"currentPassword": "correct horse 9", "newPassword": "another horse 7"},
            headers={"Authorization": f"Bearer {alice.access}"},
        )
        assert tablets.closed_with() == 4501
        assert phones.ask("ping")["type"] == "pong"


def test_a_word_that_no_process_heard_is_made_up_for(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    """Both were shut out by a process that had no way to tell this one: the sweep finds out."""
    server = start_server(PARLEY_TAMPER="hurried")
    with (
        TestSocket(server.url, token=alice.access) as hers,
        TestSocket(server.url, token=bob.access) as his,
    ):
        User.objects.filter(pk=bob.user.pk).delete()
        User.objects.filter(pk=alice.user.pk).update(status=User.Status.BANNED)
        assert hers.closed_with() == 4501
        assert his.closed_with() == 4501


def test_without_its_sweep_a_process_would_not_notice(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """The test above catches a build without the safeguard."""
    server = start_server(PARLEY_TAMPER="hurried,never-sweeps")
    with TestSocket(server.url, token=alice.access) as hers:
        User.objects.filter(pk=alice.user.pk).update(status=User.Status.BANNED)
        for _ in range(3):
            hers.expect("heartbeat")
        assert hers.ask("ping")["type"] == "pong"
