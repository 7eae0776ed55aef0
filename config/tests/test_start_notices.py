"""What the operator reads when a server starts."""

from collections.abc import Callable

import pytest
from django.db import OperationalError

from apps.accounts.models import User
from apps.accounts.tests.people import Person, person, set_status
from config.start_notices import start_notices
from testing.server import ServerProcess

pytestmark = pytest.mark.django_db(transaction=True)

HOW = "make admin (or: python manage.py create_admin)"


def test_notice_says_how_to_make_an_administrator_until_there_is_one(
    alice: Person, moderator: Person
) -> None:
    [notice] = start_notices()
    assert HOW in notice
    ada = person("Ada", User.Role.ADMIN)
    assert start_notices() == []
    set_status(ada.user, User.Status.SUSPENDED)
    assert start_notices() == [notice]


def test_database_that_cannot_be_asked_stops_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> bool:
        raise OperationalError

    monkeypatch.setattr("apps.accounts.first_administrator.has_administrator", away)
    assert start_notices() == []


@pytest.mark.integration
def test_server_on_an_empty_database_says_how_to_make_an_administrator(
    start_server: Callable[..., ServerProcess],
) -> None:
    assert HOW in start_server().log.read_text()
    person("Ada", User.Role.ADMIN)
    server = start_server()
    assert HOW not in server.log.read_text()
    assert f"  admin  http://127.0.0.1:{server.port}/admin/\n" in server.log.read_text()
