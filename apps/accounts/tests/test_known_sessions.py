"""A token that was seen needs no query, and is never good for longer than its session."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.utils import timezone
from websockets.exceptions import InvalidStatus

from apps.accounts import known_sessions
from apps.accounts.errors import InvalidToken, SessionOver
from apps.accounts.known_sessions import known_user, session_of_token
from apps.accounts.logins import user_login
from apps.accounts.models import Session, User
from apps.accounts.password_changes import password_set
from apps.accounts.selectors import sessions_with_users
from apps.accounts.sessions import TOUCH_INTERVAL, Device, session_logout
from apps.accounts.tests.forged import claims_of
from apps.accounts.tests.people import PASSWORD, Person, set_status
from apps.core.kept import clear_caches
from testing.server import ServerProcess, until
from testing.socket import TestSocket

pytestmark = pytest.mark.django_db(transaction=True)

NEW_PASSWORD = "another horse 7"
Start = Callable[..., ServerProcess]


@pytest.fixture(autouse=True)
def _kept(settings: Any) -> None:
    """Keep what is seen for longer than any test lasts."""
    settings.CACHE_SECONDS = 3600


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A function that sets the time by which a known session is judged."""

    def set_time(moment: float) -> None:
        monkeypatch.setattr(known_sessions, "time", SimpleNamespace(time=lambda: moment))

    return set_time


def status(device: Person) -> int:
    """Return how the server answers the device's access token."""
    found: int = device.get("/auth/profile").status_code
    return found


def change_password(device: Person, current: str, new: str) -> int:
    body = {"currentPassword": current, "newPassword": new}
    found: int = device.post("/auth/password/change", body).status_code
    return found


def test_a_token_that_was_seen_needs_no_query(
    alice: Person, django_assert_num_queries: Any
) -> None:
    assert known_user(alice.access) is None
    first = session_of_token(alice.access)
    with django_assert_num_queries(0):
        assert known_user(alice.access) == alice.user.pk
        second = session_of_token(alice.access)
        assert second.user.email == "alice@example.com"
        assert status(alice) == 200
    for seen, fresh in ((second, first), (second.user, first.user)):
        names = [field.attname for field in fresh._meta.concrete_fields]
        assert [getattr(seen, name) for name in names] == [getattr(fresh, name) for name in names]


def test_each_caller_has_objects_of_their_own(alice: Person) -> None:
    for _ in range(2):
        session = session_of_token(alice.access)
        session.address = session.user.name = "changed by a caller"
    session = session_of_token(alice.access)
    assert (session.address, session.user.name) == ("127.0.0.1", "Alice")


def log_out(alice: Person) -> None:
    alice.post("/auth/logout")


def end_from_another_device(alice: Person) -> None:
    alice.another_device().delete(f"/auth/sessions/{claims_of(alice.access)['sid']}")


def change_password_elsewhere(alice: Person) -> None:
    assert change_password(alice.another_device(), PASSWORD, NEW_PASSWORD) == 200


def have_password_set(alice: Person) -> None:
    password_set(user=alice.user, new_password=NEW_PASSWORD)


def be_suspended(alice: Person) -> None:
    set_status(alice.user, User.Status.SUSPENDED)


def be_banned_and_reinstated(alice: Person) -> None:
    set_status(alice.user, User.Status.BANNED)
    set_status(alice.user, User.Status.ACTIVE)


def have_the_refresh_token_stolen(alice: Person) -> None:
    for user_agent, found in (("phone", 200), ("of a thief", 401)):
        body = {"refreshToken": alice.refresh}
        headers = {"User-Agent": user_agent}
        response = alice.client.post("/api/v1/auth/refresh", body, headers=headers)
        assert response.status_code == found


@pytest.mark.parametrize(
    "end",
    [
        log_out,
        end_from_another_device,
        change_password_elsewhere,
        have_password_set,
        be_suspended,
        be_banned_and_reinstated,
        have_the_refresh_token_stolen,
    ],
)
def test_a_session_that_ended_is_refused_at_once(
    alice: Person, end: Callable[[Person], None]
) -> None:
    assert status(alice) == 200
    end(alice)
    assert known_user(alice.access) is None
    assert status(alice) == 401


def test_the_sessions_of_others_stay_known(alice: Person, bob: Person) -> None:
    tablet = alice.another_device()
    for device in (alice, tablet, bob):
        assert status(device) == 200
    log_out(alice)
    assert known_user(tablet.access) == alice.user.pk
    assert known_user(bob.access) == bob.user.pk


def test_a_renamed_user_is_fresh_at_once(alice: Person) -> None:
    assert status(alice) == 200
    alice.patch("/auth/profile", {"name": "Alicia"})
    assert alice.get("/auth/profile").json()["data"]["name"] == "Alicia"


def test_a_password_may_be_changed_twice(alice: Person) -> None:
    """The hash that a change compares with is that of the known user."""
    assert change_password(alice, PASSWORD, NEW_PASSWORD) == 200
    assert change_password(alice, NEW_PASSWORD, "a third horse 5") == 200
    assert change_password(alice, NEW_PASSWORD, "a fourth horse 4") == 422


def test_a_password_may_be_changed_after_a_login_has_renewed_its_hash(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(alice) == 200
    monkeypatch.setattr(MD5PasswordHasher, "must_update", lambda *_: True)
    user_login(email="alice@example.com", password=PASSWORD, device=Device("::1", "tablet"))
    assert change_password(alice, PASSWORD, NEW_PASSWORD) == 200


def test_a_token_is_known_until_the_moment_at_which_it_expires(
    alice: Person, at: Callable[[float], None]
) -> None:
    session_of_token(alice.access)
    # The server's clock may be ten seconds off.
    end = claims_of(alice.access)["exp"] + 10
    Session.objects.update(last_used_at=timezone.now() + timedelta(days=1))
    clear_caches()
    session_of_token(alice.access)
    at(end - 0.001)
    assert known_user(alice.access) == alice.user.pk
    at(end)
    assert known_user(alice.access) is None


def test_a_session_is_known_until_the_moment_at_which_it_expires(
    alice: Person, at: Callable[[float], None]
) -> None:
    end = timezone.now() + timedelta(seconds=60)
    Session.objects.update(expires_at=end)
    session_of_token(alice.access)
    at(end.timestamp() - 0.001)
    assert known_user(alice.access) == alice.user.pk
    at(end.timestamp())
    assert known_user(alice.access) is None


def test_the_last_use_of_a_known_session_is_still_written(
    alice: Person, at: Callable[[float], None], django_assert_num_queries: Any
) -> None:
    long_ago = timezone.now() - TOUCH_INTERVAL
    Session.objects.update(last_used_at=long_ago)
    assert status(alice) == 200
    written = Session.objects.get().last_used_at
    assert written > long_ago
    with django_assert_num_queries(0):
        assert status(alice) == 200
    at((written + TOUCH_INTERVAL).timestamp())
    assert known_user(alice.access) is None


def test_a_session_whose_use_could_not_be_written_is_looked_up_again(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = timezone.now() - TOUCH_INTERVAL
    Session.objects.update(last_used_at=long_ago)
    with monkeypatch.context() as patch:
        patch.setattr(known_sessions, "sessions_touch", lambda sessions: None)
        assert status(alice) == 200
    assert status(alice) == 200
    assert Session.objects.get().last_used_at > long_ago


def test_a_session_that_ends_while_it_is_looked_up_is_not_known(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found_and_ended(session_ids: Iterable[UUID]) -> list[Session]:
        [session] = sessions_with_users(session_ids)
        session_logout(alice.user, session=session)
        return [session]

    with monkeypatch.context() as patch:
        patch.setattr(known_sessions, "sessions_with_users", found_and_ended)
        session_of_token(alice.access)
    with pytest.raises(SessionOver):
        session_of_token(alice.access)


def test_a_bad_token_is_never_known(alice: Person) -> None:
    session_of_token(alice.access)
    for token in (alice.refresh, alice.access + "x", alice.access[:-1], ""):
        for _ in range(2):
            with pytest.raises(InvalidToken):
                session_of_token(token)
        assert known_user(token) is None


@pytest.mark.integration
def test_a_socket_of_a_known_session_that_ended_is_refused_at_once(
    start_server: Start, alice: Person
) -> None:
    server = start_server(CACHE_SECONDS="3600")
    headers = {"Authorization": f"Bearer {alice.access}"}
    for _ in range(2):
        with TestSocket(server.url, token=alice.access) as socket:
            assert socket.expect("connected")["data"]["user"]["name"] == "Alice"
    server.call("PATCH", "/api/v1/auth/profile", json={"name": "Alicia"}, headers=headers)
    with TestSocket(server.url, token=alice.access) as socket:
        assert socket.expect("connected")["data"]["user"]["name"] == "Alicia"
    assert server.call("POST", "/api/v1/auth/logout", headers=headers).status_code == 200
    assert refused(server, alice)
    assert server.call("GET", "/api/v1/auth/profile", headers=headers).status_code == 401


@pytest.mark.integration
def test_a_change_that_no_process_was_told_of_is_seen_in_time(
    start_server: Start, alice: Person
) -> None:
    server = start_server(CACHE_SECONDS="1")
    assert profile(server, alice)[0] == 200
    User.objects.update(name="Alicia")
    until(lambda: profile(server, alice) == (200, "Alicia"))
    Session.objects.update(ended_at=timezone.now())
    until(lambda: profile(server, alice)[0] == 401)
    assert refused(server, alice)


@pytest.mark.integration
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite serves one process.")
def test_the_other_process_learns_at_once_what_has_changed(
    start_server: Start, alice: Person, bob: Person
) -> None:
    here, there = start_server(CACHE_SECONDS="3600"), start_server(CACHE_SECONDS="3600")
    tablet = alice.another_device()
    for server in (here, there):
        for device in (alice, tablet, bob):
            assert profile(server, device)[0] == 200

    headers = {"Authorization": f"Bearer {alice.access}"}
    here.call("PATCH", "/api/v1/auth/profile", json={"name": "Alicia"}, headers=headers)
    assert profile(here, tablet) == (200, "Alicia")
    until(lambda: profile(there, tablet) == (200, "Alicia"))
    assert here.call("POST", "/api/v1/auth/logout", headers=headers).status_code == 200
    assert profile(here, alice)[0] == 401
    until(lambda: profile(there, alice)[0] == 401)
    assert refused(there, alice)
    assert profile(there, tablet)[0] == 200

    set_status(bob.user, User.Status.BANNED)
    until(lambda: {profile(server, bob)[0] for server in (here, there)} == {401})
    assert refused(here, bob)
    assert refused(there, bob)


def profile(server: ServerProcess, person: Person) -> tuple[int, str]:
    """Return the status of the person's own profile, and the name in it."""
    headers = {"Authorization": f"Bearer {person.access}"}
    response = server.call("GET", "/api/v1/auth/profile", headers=headers)
    return response.status_code, response.json().get("data", {}).get("name", "")


def refused(server: ServerProcess, person: Person) -> bool:
    """Return whether the server refuses a socket to the person's access token."""
    try:
        with TestSocket(server.url, token=person.access):
            return False
    except InvalidStatus as refusal:
        return refusal.response.status_code == 401
