"""Logging out on this device and on another one."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from apps.accounts.errors import SessionNotFound
from apps.accounts.models import Session, User
from apps.accounts.sessions import session_end, session_logout
from apps.accounts.tests.people import Person
from testing.client import ContractClient


def session_of(device: Person) -> str:
    """Return the id of the device's session."""
    devices = device.get("/auth/sessions").json()["data"]
    return next(str(each["id"]) for each in devices if each["current"])


def is_logged_out(device: Person) -> bool:
    """Return whether the server refuses both tokens of the device."""
    refreshed = device.client.post("/api/v1/auth/refresh", {"refreshToken": device.refresh})
    return {device.get("/auth/profile").status_code, refreshed.status_code} == {401}


def test_logout_ends_both_tokens_at_once(alice: Person) -> None:
    """The access token stops working at once, before it expires."""
    response = alice.post("/auth/logout")
    assert response.status_code == 200
    assert response.json()["message"] == "Logout successful"
    assert is_logged_out(alice)


def test_logout_ends_no_session_of_other_devices_and_users(alice: Person, bob: Person) -> None:
    tablet = alice.another_device()
    alice.post("/auth/logout")
    assert tablet.get("/auth/profile").status_code == 200
    assert bob.get("/auth/profile").status_code == 200


def test_second_logout_is_refused(alice: Person) -> None:
    alice.post("/auth/logout")
    ended_at = Session.objects.get().ended_at
    assert alice.post("/auth/logout").status_code == 401
    assert Session.objects.get().ended_at == ended_at


def test_bob_cannot_log_out_a_session_of_alice(alice: Person, bob: Person) -> None:
    with pytest.raises(SessionNotFound):
        session_logout(bob.user, session=alice.user.sessions.get())
    assert alice.get("/auth/profile").status_code == 200


def test_anonymous_user_cannot_log_out(anonymous: ContractClient) -> None:
    assert anonymous.post("/api/v1/auth/logout").status_code == 401


def test_alice_lists_her_own_sessions_the_last_used_first(alice: Person, bob: Person) -> None:
    alice.another_device()
    Session.objects.filter(user_agent="phone").update(
        last_used_at=timezone.now() + timedelta(seconds=1)
    )
    devices = alice.get("/auth/sessions").json()["data"]
    shown = [(each["userAgent"], each["address"], each["current"]) for each in devices]
    assert shown == [("phone", "127.0.0.1", True), ("tablet", "::1", False)]
    assert {each["sockets"] for each in devices} == {0}


def test_list_omits_sessions_that_are_over(alice: Person) -> None:
    tablet, laptop = alice.another_device(), alice.another_device()
    tablet.post("/auth/logout")
    past = timezone.now() - timedelta(days=1)
    Session.objects.filter(pk=session_of(laptop)).update(
        created_at=past - timedelta(days=7), expires_at=past
    )
    assert [each["current"] for each in alice.get("/auth/sessions").json()["data"]] == [True]


def test_alice_ends_the_session_of_another_device_and_keeps_her_own(alice: Person) -> None:
    tablet = alice.another_device()
    response = alice.delete(f"/auth/sessions/{session_of(tablet)}")
    assert response.status_code == 200
    assert "data" not in response.json()
    assert is_logged_out(tablet)
    assert alice.get("/auth/profile").status_code == 200


def test_alice_can_end_her_current_session(alice: Person) -> None:
    assert alice.delete(f"/auth/sessions/{session_of(alice)}").status_code == 200
    assert is_logged_out(alice)


def test_other_users_can_neither_end_nor_detect_a_session_of_alice(
    alice: Person, carol: Person, moderator: Person
) -> None:
    for other in (carol, moderator):
        response = other.delete(f"/auth/sessions/{session_of(alice)}")
        assert response.status_code == 404
        unknown = other.delete(f"/auth/sessions/{uuid4()}")
        assert response.json()["message"] == unknown.json()["message"]
    assert alice.get("/auth/profile").status_code == 200


def test_a_session_that_is_over_cannot_be_ended_again(alice: Person) -> None:
    tablet = alice.another_device()
    over = session_of(tablet)
    tablet.post("/auth/logout")
    assert alice.delete(f"/auth/sessions/{over}").status_code == 404


@pytest.mark.parametrize("key", ["1", "null", "x" * 36, "a%00b"])
def test_id_that_is_not_a_uuid_is_not_found(alice: Person, key: str) -> None:
    """No route matches such an id, so the database gets no query with it."""
    assert alice.delete(f"/auth/sessions/{key}").status_code == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no locks of rows.")
def test_ending_a_session_does_not_wait_for_the_lock_of_its_user(alice: Person) -> None:
    """Writes lock the user's row before their sessions, so the other order would deadlock."""
    key = Session.objects.get().pk
    ended = threading.Event()

    def end() -> None:
        session_end(alice.user, session_id=key)
        ended.set()
        connections.close_all()

    thread = threading.Thread(target=end)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=alice.user.pk)
        thread.start()
        was_ended = ended.wait(timeout=5)
    thread.join()
    assert was_ended
