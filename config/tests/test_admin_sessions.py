"""A session of the admin's pages ends for the same reasons as one of the API."""

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


def logged_in(browser: Client) -> bool:
    """Return whether the browser gets the pages, and not the login form."""
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
def test_what_ends_the_sessions_of_a_moderator_also_ends_that_of_the_pages(
    browser: Client, moderator: Person, end: Callable[[Person], None]
) -> None:
    assert logged_in(browser)
    end(moderator)
    assert not logged_in(browser)


def test_a_moderator_may_log_in_again_after_a_suspension(
    browser: Client, moderator: Person
) -> None:
    suspend_for_a_while(moderator)
    form = {"username": moderator.user.email, "password": PASSWORD, "next": "/admin/"}
    assert browser.post("/admin/login/", form).status_code == 302
    assert logged_in(browser)


def test_a_logout_ends_this_session_and_no_other(browser: Client, moderator: Person) -> None:
    copy, other = Client(), pages_of(moderator)
    copy.cookies["sessionid"] = browser.cookies["sessionid"].value
    assert logged_in(copy)
    assert browser.post("/admin/logout/").status_code == 200
    assert not logged_in(copy)
    assert logged_in(other)
    assert Session.objects.exclude(ended_at=None).count() == 1
    assert moderator.get("/auth/profile").status_code == 200


def test_a_get_of_the_logout_page_ends_nothing(browser: Client) -> None:
    assert browser.get("/admin/logout/").status_code == 405
    assert logged_in(browser)
