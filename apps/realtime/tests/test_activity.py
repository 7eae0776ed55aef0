"""A user is away when they are away from all of their devices."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings

from apps.accounts.tests.people import Person
from apps.chat.services import Draft, message_send
from apps.core.ids import uuid7
from apps.core.redis import with_redis
from apps.realtime import presence
from apps.realtime.local_presence import LocalPresence
from apps.realtime.presence import ActivityChange, Arrival, PresenceChange, PresenceStore
from apps.realtime.redis_presence import RedisPresence
from apps.realtime.sockets import PresenceEntry
from testing.server import ServerProcess, until
from testing.socket import TestSocket

needs_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")


@pytest.fixture(params=[LocalPresence, pytest.param(RedisPresence, marks=needs_redis)])
def store(request: pytest.FixtureRequest) -> PresenceStore:
    made: PresenceStore = request.param()
    return made


@pytest.fixture
def devices(store: PresenceStore) -> tuple[PresenceEntry, PresenceEntry]:
    """The phone and the tablet of Ada, both connected."""
    user = uuid7()
    phone, tablet = (PresenceEntry(user, uuid7(), name) for name in ("phone", "tablet"))
    store.arrive([phone, tablet])
    return phone, tablet


def away(entry: PresenceEntry) -> PresenceEntry:
    return replace(entry, away=True)


def states(changes: list[PresenceChange]) -> list[bool]:
    """Return for each change of activity whether the user is away then."""
    assert all(isinstance(change, ActivityChange) for change in changes)
    return [change.away for change in changes]


def test_a_user_is_away_when_they_are_away_from_all_devices(
    store: PresenceStore, devices: tuple[PresenceEntry, PresenceEntry]
) -> None:
    phone, tablet = devices
    ada = phone.user_id
    assert store.refresh([away(phone)]) == []
    assert store.away([ada]) == set()
    assert states(store.refresh([away(tablet)])) == [True]
    assert store.away([ada]) == {ada}
    assert store.refresh([away(phone), away(tablet)]) == []
    assert states(store.refresh([phone])) == [False]
    assert store.away([ada]) == set()


def test_each_change_has_a_larger_version(
    store: PresenceStore, devices: tuple[PresenceEntry, PresenceEntry]
) -> None:
    phone, tablet = devices
    [left] = store.refresh([away(phone), away(tablet)])
    [back] = store.refresh([phone])
    assert back.version > left.version


def test_a_user_who_connects_one_more_device_is_active(
    store: PresenceStore, devices: tuple[PresenceEntry, PresenceEntry]
) -> None:
    phone, tablet = devices
    store.refresh([away(phone), away(tablet)])
    [change] = store.arrive([PresenceEntry(phone.user_id, uuid7(), "desk")])
    assert isinstance(change, ActivityChange)
    assert not change.away


def test_a_user_whose_active_device_drops_is_away_with_the_next_refresh(
    store: PresenceStore, devices: tuple[PresenceEntry, PresenceEntry]
) -> None:
    """Not before: an active device that drops for a moment causes no change."""
    phone, tablet = devices
    store.refresh([away(phone)])
    store.leave([tablet])
    assert store.away([phone.user_id]) == set()
    assert store.arrive([tablet]) == [None]
    store.leave([tablet])
    assert states(store.refresh([away(phone)])) == [True]


def test_a_user_who_was_away_and_left_arrives_active(
    store: PresenceStore,
    devices: tuple[PresenceEntry, PresenceEntry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    phone, tablet = devices
    store.refresh([away(phone), away(tablet)])
    store.leave([phone, tablet])
    until(lambda: any(one.user_id == phone.user_id for one in store.departures()))
    assert store.away([phone.user_id]) == set()
    [arrival] = store.arrive([phone])
    assert isinstance(arrival, Arrival)
    assert not arrival.away


def test_a_refresh_of_a_socket_that_left_does_not_bring_its_user_back() -> None:
    store, phone = LocalPresence(), PresenceEntry(uuid7(), uuid7(), "phone")
    store.arrive([phone])
    store.leave([phone])
    assert store.refresh([away(phone)]) == []
    assert store.sockets(phone.user_id).total() == 0


@needs_redis
def test_a_user_whom_redis_forgot_arrives_as_they_are() -> None:
    store, phone = RedisPresence(), PresenceEntry(uuid7(), uuid7(), "phone")
    store.arrive([phone])
    store.refresh([away(phone)])
    with_redis("session", lambda client: client.delete(store._online, store._away))
    [arrival] = store.refresh([away(phone)])
    assert isinstance(arrival, Arrival)
    assert arrival.away


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_peers_see_that_a_user_is_away_and_others_do_not(
    server: ServerProcess, alice: Person, bob: Person, carol: Person
) -> None:
    message_send(Draft(alice.user.pk, bob.user.pk, "Hello"))
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=carol.access) as carol_socket,
        bob_connected(server, alice_socket, bob) as phone,
        TestSocket(server.url, token=bob.another_device().access) as tablet,
    ):
        assert phone.ask("activity", {"state": "away"})["data"] == {"state": "away"}
        assert seen(alice_socket, bob)["activity"] == "active"
        assert tablet.ask("activity", {"state": "away"})["type"] == "ack"
        change = {"userId": bob.id, "activity": "away"}
        assert alice_socket.expect("user_activity")["data"] == change
        assert seen(alice_socket, bob) == {"online": True, "activity": "away", "lastSeenAt": None}
        headers = {"Authorization": f"Bearer {alice.access}"}
        listed = server.call("GET", "/api/v1/messages/conversations", headers=headers)
        assert listed.json()["data"][0]["activity"] == "away"

        tablet.ask("activity", {"state": "active"})
        change = {"userId": bob.id, "activity": "active"}
        assert alice_socket.expect("user_activity")["data"] == change
        assert [f for f in carol_socket.settle() if f["type"].startswith("user_")] == []


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_an_activity_that_does_not_exist_is_refused(server: ServerProcess, alice: Person) -> None:
    with TestSocket(server.url, token=alice.access) as socket:
        refused = socket.ask("activity", {"state": "asleep"}, wrong=True)
        assert refused["data"]["errors"][0]["field"] == "state"
        assert refused["data"]["code"] == "VALIDATION_ERROR"


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_user_whose_active_device_is_gone_is_away(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    message_send(Draft(alice.user.pk, bob.user.pk, "Hello"))
    server = start_server(PARLEY_TAMPER="hurried")
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        bob_connected(server, alice_socket, bob) as phone,
    ):
        with TestSocket(server.url, token=bob.another_device().access) as tablet:
            tablet.expect("connected")
            phone.ask("activity", {"state": "away"})
        assert alice_socket.expect("user_activity")["data"]["activity"] == "away"


def bob_connected(server: ServerProcess, alice_socket: TestSocket, bob: Person) -> TestSocket:
    """Return the first socket of Bob, once Alice has received that Bob is online."""
    # Before that Alice is not subscribed to their own stream.
    alice_socket.expect("connected")
    socket = TestSocket(server.url, token=bob.access)
    online = {"userId": bob.id, "activity": "active"}
    assert alice_socket.expect("user_online")["data"] == online
    return socket


def seen(socket: TestSocket, person: Person) -> Any:
    """Return what the user of the socket sees of the presence of the other one."""
    return socket.ask("presence", {"userIds": [person.id]})["data"]["presence"][person.id]
