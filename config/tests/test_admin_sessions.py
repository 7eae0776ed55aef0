"""A session of the admin's pages ends as one of the API does, and for good."""

from collections.abc import Callable

import pytest
from django.test import Client

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person, set_status
from config.tests.test_admin import pages_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(moderator: Person) -> Client:
    return pages_of(moderator)


def is_in(browser: Client) -> bool:
    """Return whether the browser sees the pages, and not the form to log in."""
    status = browser.get("/admin/").status_code
    assert status in {200, 302}
    return status == 200


def suspend_for_a_while(moderator: Person) -> None:
    set_status(moderator.user, User.Status.SUSPENDED)
    set_status(moderator.user, User.Status.ACTIVE)


def change_password(moderator: Person) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": "battery staple 7"}
    assert moderator.post("/auth/password/change", body).status_code == 200


def end_all_others(moderator: Person) -> None:
    for device in moderator.get("/auth/sessions").json()["data"]:
        if not device["current"]:
            moderator.delete(f"/auth/sessions/{device['id']}")


@pytest.mark.parametrize("end", [suspend_for_a_while, change_password, end_all_others])
def test_what_ends_the_sessions_of_a_moderator_ends_that_of_the_pages(
    browser: Client, moderator: Person, end: Callable[[Person], None]
) -> None:
    assert is_in(browser)
    end(moderator)
    assert not is_in(browser)


def test_who_was_suspended_may_log_in_anew(browser: Client, moderator: Person) -> None:
    suspend_for_a_while(moderator)
    form = {"username": moderator.user.email, "password": PASSWORD, "next": "/admin/"}
    assert browser.post("/admin/login/", form).status_code == 302
    assert is_in(browser)


def test_logging_out_there_ends_it_and_no_other(browser: Client, moderator: Person) -> None:
    copy, other = Client(), pages_of(moderator)
    copy.cookies["sessionid"] = browser.cookies["sessionid"].value
    assert is_in(copy)
    assert browser.post("/admin/logout/").status_code == 200
    assert not is_in(copy)
    assert is_in(other)
    assert Session.objects.exclude(ended_at=None).count() == 1
    assert moderator.get("/auth/profile").status_code == 200


def test_to_ask_for_the_page_that_logs_out_ends_nothing(browser: Client) -> None:
    assert browser.get("/admin/logout/").status_code == 405
    assert is_in(browser)
