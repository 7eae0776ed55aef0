"""Logging in to the admin's pages, and changing a password there: as over the API."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import Session, User
from apps.accounts.tests.people import PASSWORD, Person, elsewhere, person
from apps.realtime.models import LoggedEvent
from testing.client import ContractClient
from testing.limits import AllActions

pytestmark = pytest.mark.django_db

NEW = "battery staple 7"


@pytest.fixture
def maud(db: Any) -> Person:
    """A moderator whose address no other test has made guesses at: Redis outlives a test."""
    return person(f"Maud-{uuid4().hex[:8]}", User.Role.MODERATOR)


def enter(email: str, password: str = PASSWORD, browser: Client | None = None) -> Any:
    form = {"username": email, "password": password, "next": "/admin/"}
    return (browser or Client(REMOTE_ADDR=elsewhere())).post("/admin/login/", form)


def log_in(email: str, password: str = PASSWORD, address: str = "") -> Any:
    body = {"email": email, "password": password}
    return ContractClient(REMOTE_ADDR=address or elsewhere()).post("/api/v1/auth/login", body)


def came_in(answer: Any) -> bool:
    return bool(answer.status_code == 302)


@pytest.mark.parametrize(("email", "password"), [("", "x"), ("{}", ""), ("", ""), ("  ", "x")])
def test_a_form_with_an_empty_field_costs_nobody_anything(
    maud: Person, hashed: list[str], settings: Settings, email: str, password: str
) -> None:
    settings.ACTION_LIMITS = AllActions(1)
    here = elsewhere()
    for _ in range(5):
        browser = Client(REMOTE_ADDR=here)
        assert not came_in(enter(email.format(maud.user.email), password, browser))
    assert hashed == []
    answer = log_in(maud.user.email, address=here)
    assert answer.status_code == 200
    assert not answer.wsgi_request.META["parley.delay"]


@pytest.mark.parametrize(
    ("email", "password"),
    [("x" * 255, "x"), ("{}" + "x" * 100_000, "x"), ("{}", "x" * 129), ("{}", "é" * 100_000)],
    ids=["an address", "a long address", "a password", "a long password"],
)
def test_what_is_too_long_to_be_right_is_not_looked_at(
    maud: Person, hashed: list[str], settings: Settings, email: str, password: str
) -> None:
    settings.ACTION_LIMITS = AllActions(1)
    here = elsewhere()
    for _ in range(3):
        answer = enter(email.format(maud.user.email), password, Client(REMOTE_ADDR=here))
        assert answer.status_code == 200
        assert "Please enter the correct" in answer.text
    assert hashed == []
    assert log_in(maud.user.email, address=here).status_code == 200


def test_the_pages_and_the_api_count_together(maud: Person, settings: Settings) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(login=3)
    here = elsewhere()
    browser = Client(REMOTE_ADDR=here)
    assert log_in(maud.user.email, "a guess", here).status_code == 401
    for _ in range(2):
        assert enter(maud.user.email.upper(), "a guess", browser).status_code == 200
    refused = enter(maud.user.email, browser=browser)
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert "Too many requests" in refused.text
    assert log_in(maud.user.email, address=here).status_code == 429
    assert came_in(enter(maud.user.email))


def test_guesses_from_anywhere_are_held_back_and_refuse_nobody(
    maud: Person, settings: Settings
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(login_account=2)
    for _ in range(5):
        enter(maud.user.email, "a guess")
    answer = enter(maud.user.email)
    assert came_in(answer)
    assert answer.wsgi_request.META["parley.delay"] > 1
    assert LoggedEvent.objects.get().type == "security_alert"


def test_an_address_is_known_in_any_spelling_and_no_other_one_is(moderator: Person) -> None:
    assert came_in(enter(" Morton@EXAMPLE.com "))
    # A wide m, which Django's own form would take for one, and a long s.
    for lookalike in ("\uff4dorton@example.com", "morton@example.com".replace("m", "\u1d39")):
        assert not came_in(enter(lookalike))


def test_who_does_not_look_after_others_does_not_come_in(bob: Person) -> None:
    assert not came_in(enter("bob@example.com"))
    assert Session.objects.count() == 1


def test_a_moderator_who_is_shut_out_does_not_come_in(moderator: Person) -> None:
    User.objects.update(status=User.Status.SUSPENDED)
    assert not came_in(enter("morton@example.com"))


@pytest.fixture
def browser(moderator: Person) -> Client:
    browser = Client()
    assert came_in(enter("morton@example.com", browser=browser))
    return browser


def change(browser: Client, old: str = PASSWORD, new: str = NEW, again: str = "") -> Any:
    form = {"old_password": old, "new_password1": new, "new_password2": again or new}
    return browser.post("/admin/password_change/", form)


def test_a_password_that_is_changed_there_ends_the_sessions_of_the_api(
    browser: Client, moderator: Person
) -> None:
    other = Client()
    enter("morton@example.com", browser=other)
    assert came_in(change(browser))
    assert moderator.get("/auth/profile").status_code == 401
    assert browser.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    assert log_in("morton@example.com", NEW).status_code == 200
    assert log_in("morton@example.com").status_code == 401


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"old": "not theirs"}, "This is not your current password."),
        ({"old": ""}, "This field is required."),
        ({"new": "password1"}, "This password is too common."),
        ({"new": "short 1"}, "This password is too short."),
        ({"new": "x1" * 65}, "Ensure this field has no more than 128 characters."),
        ({"again": "another 77"}, "The two password fields"),
    ],
    ids=str,
)
def test_a_wrong_form_changes_nothing(
    browser: Client, moderator: Person, wrong: dict[str, str], sentence: str
) -> None:
    before = User.objects.values("password", "status", "role").get()
    page = change(browser, **wrong)
    assert page.status_code == 200
    assert sentence in page.text
    assert User.objects.values("password", "status", "role").get() == before
    assert moderator.get("/auth/profile").status_code == 200


def test_an_old_password_may_be_guessed_only_so_often(browser: Client, settings: Settings) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(password=2)
    for _ in range(2):
        change(browser, old="a guess")
    assert "Too many requests" in change(browser).text
    assert log_in("morton@example.com").status_code == 200


def test_a_suspension_meanwhile_is_not_undone(
    browser: Client, moderator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = MD5PasswordHasher.verify

    def verify_and_suspend(hasher: MD5PasswordHasher, password: str, encoded: str) -> bool:
        User.objects.update(status=User.Status.SUSPENDED)
        return verify(hasher, password, encoded)

    monkeypatch.setattr(MD5PasswordHasher, "verify", verify_and_suspend)
    assert not came_in(change(browser))
    assert User.objects.get().status == User.Status.SUSPENDED
    assert not Session.objects.exclude(ended_at=None).exists()
