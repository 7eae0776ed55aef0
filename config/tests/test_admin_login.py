"""Logging in to the admin's pages, and changing a password there, follow the rules of the API."""

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
    """A moderator with a new address: Redis keeps the limits of addresses between tests."""
    return person(f"Maud-{uuid4().hex[:8]}", User.Role.MODERATOR)


def admin_login(email: str, password: str = PASSWORD, browser: Client | None = None) -> Any:
    form = {"username": email, "password": password, "next": "/admin/"}
    return (browser or Client(REMOTE_ADDR=elsewhere())).post("/admin/login/", form)


def log_in(email: str, password: str = PASSWORD, address: str = "") -> Any:
    body = {"email": email, "password": password}
    return ContractClient(REMOTE_ADDR=address or elsewhere()).post("/api/v1/auth/login", body)


def logged_in(answer: Any) -> bool:
    return bool(answer.status_code == 302)


@pytest.mark.parametrize(("email", "password"), [("", "x"), ("{}", ""), ("", ""), ("  ", "x")])
def test_a_form_with_an_empty_field_uses_up_no_limit(
    maud: Person, hashed: list[str], settings: Settings, email: str, password: str
) -> None:
    settings.ACTION_LIMITS = AllActions(1)
    here = elsewhere()
    for _ in range(5):
        browser = Client(REMOTE_ADDR=here)
        assert not logged_in(admin_login(email.format(maud.user.email), password, browser))
    assert hashed == []
    answer = log_in(maud.user.email, address=here)
    assert answer.status_code == 200
    assert not answer.wsgi_request.META["parley.delay"]


@pytest.mark.parametrize(
    ("email", "password"),
    [("x" * 255, "x"), ("{}" + "x" * 100_000, "x"), ("{}", "x" * 129), ("{}", "é" * 100_000)],
    ids=["an address", "a long address", "a password", "a long password"],
)
def test_credentials_that_are_too_long_use_up_no_limit(
    maud: Person, hashed: list[str], settings: Settings, email: str, password: str
) -> None:
    settings.ACTION_LIMITS = AllActions(1)
    here = elsewhere()
    for _ in range(3):
        answer = admin_login(email.format(maud.user.email), password, Client(REMOTE_ADDR=here))
        assert answer.status_code == 200
        assert "Please enter the correct" in answer.text
    assert hashed == []
    assert log_in(maud.user.email, address=here).status_code == 200


def test_the_pages_and_the_api_share_their_limits(maud: Person, settings: Settings) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(login=3)
    here = elsewhere()
    browser = Client(REMOTE_ADDR=here)
    assert log_in(maud.user.email, "a guess", here).status_code == 401
    for _ in range(2):
        assert admin_login(maud.user.email.upper(), "a guess", browser).status_code == 200
    refused = admin_login(maud.user.email, browser=browser)
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert "Too many requests" in refused.text
    assert log_in(maud.user.email, address=here).status_code == 429
    assert logged_in(admin_login(maud.user.email))


def test_guesses_from_anywhere_delay_a_login_and_do_not_refuse_it(
    maud: Person, settings: Settings
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(login_account=2)
    for _ in range(5):
        admin_login(maud.user.email, "a guess")
    answer = admin_login(maud.user.email)
    assert logged_in(answer)
    assert answer.wsgi_request.META["parley.delay"] > 1
    assert LoggedEvent.objects.get().type == "security_alert"


def test_a_login_takes_any_spelling_of_an_address_and_no_lookalike(moderator: Person) -> None:
    assert logged_in(admin_login(" Morton@EXAMPLE.com "))
    # A wide m, which Django's own form would take for one, and a long s.
    for lookalike in ("\uff4dorton@example.com", "morton@example.com".replace("m", "\u1d39")):
        assert not logged_in(admin_login(lookalike))


def test_a_user_who_is_no_moderator_cannot_log_in(bob: Person) -> None:
    assert not logged_in(admin_login("bob@example.com"))
    assert Session.objects.count() == 1


def test_a_suspended_moderator_learns_it_with_the_right_password_only(moderator: Person) -> None:
    User.objects.update(status=User.Status.SUSPENDED)
    refused = admin_login("morton@example.com")
    assert not logged_in(refused)
    assert "Your account is suspended." in refused.text
    guess = admin_login("morton@example.com", "a guess")
    assert "suspended" not in guess.text
    assert "Please enter the correct" in guess.text


@pytest.fixture
def browser(moderator: Person) -> Client:
    browser = Client()
    assert logged_in(admin_login("morton@example.com", browser=browser))
    return browser


def change(browser: Client, old: str = PASSWORD, new: str = NEW, again: str = "") -> Any:
    form = {"old_password": old, "new_password1": new, "new_password2": again or new}
    return browser.post("/admin/password_change/", form)


def test_a_password_change_on_the_pages_ends_the_sessions_of_the_api(
    browser: Client, moderator: Person
) -> None:
    other = Client()
    admin_login("morton@example.com", browser=other)
    assert logged_in(change(browser))
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


def test_guesses_at_the_old_password_are_limited(browser: Client, settings: Settings) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(password=2)
    for _ in range(2):
        change(browser, old="a guess")
    assert "Too many requests" in change(browser).text
    assert log_in("morton@example.com").status_code == 200


def test_a_password_change_does_not_undo_a_suspension_meanwhile(
    browser: Client, moderator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = MD5PasswordHasher.verify

    def verify_and_suspend(hasher: MD5PasswordHasher, password: str, encoded: str) -> bool:
        User.objects.update(status=User.Status.SUSPENDED)
        return verify(hasher, password, encoded)

    monkeypatch.setattr(MD5PasswordHasher, "verify", verify_and_suspend)
    assert not logged_in(change(browser))
    assert User.objects.get().status == User.Status.SUSPENDED
    assert not Session.objects.exclude(ended_at=None).exists()
