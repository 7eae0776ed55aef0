"""Which users are online, and to whom that is announced."""

from collections.abc import Callable, Sequence
from itertools import cycle

import pytest
from django.conf import settings
from django.db import OperationalError

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.chat.services import Draft, message_send
from apps.core.ids import uuid7
from apps.realtime import presence as presence_module
from apps.realtime.local_presence import LocalPresence
from apps.realtime.models import LastSeen
from apps.realtime.presence import (
    Arrival,
    Departure,
    announce_departures,
    announce_presence,
    presence_of,
)
from apps.realtime.registry import audiences_of, visible_to
from apps.realtime.sockets import PresenceEntry
from apps.realtime.streams import USER
from testing.server import ServerProcess, until
from testing.socket import TestSocket


@pytest.fixture
def in_conversation(alice: Person, bob: Person) -> None:
    message_send(Draft(alice.user.pk, bob.user.pk, "Hello"))


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_only_peers_are_notified_of_the_first_device_and_of_the_last(
    start_once: Callable[..., ServerProcess],
    in_conversation: None,
    alice: Person,
    bob: Person,
    carol: Person,
) -> None:
    server = start_once(PARLEY_TAMPER="hurried,brief-grace")
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=carol.access) as carol_socket,
    ):
        alice_socket.expect("connected")
        phone = TestSocket(server.url, token=bob.access)
        online = {"userId": bob.id, "activity": "active"}
        assert alice_socket.expect("user_online")["data"] == online
        tablet = TestSocket(server.url, token=bob.another_device().access)
        tablet.settle()
        phone.close()
        until(lambda: server.open_sockets() == 3)
        assert changes(alice_socket) == []
        tablet.close()
        gone = alice_socket.expect("user_offline")["data"]
        assert gone["userId"] == bob.id
        assert gone["lastSeenAt"].endswith("Z")
        assert changes(carol_socket) == []


def reconnect_often(alice_socket: TestSocket, bob: Person, *servers: ServerProcess) -> list[str]:
    """Have Bob come and go ten times, by one process after the other, and return what Alice
    receives of it until they left. Before Alice is connected they receive nothing."""
    for _, server in zip(range(10), cycle(servers), strict=False):
        with TestSocket(server.url, token=bob.access) as bob_socket:
            bob_socket.expect("connected")
    received: list[str] = []

    def left() -> bool:
        # It waits for a frame: a socket that asked again and again would send too many.
        received.append(alice_socket.receive()["type"])
        return received[-1] == "user_offline" and not is_online(alice_socket, bob)

    until(left)
    return [kind for kind in received if kind.startswith("user_")] + changes(alice_socket)


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_user_who_only_reconnects_stays_online(
    start_once: Callable[..., ServerProcess], in_conversation: None, alice: Person, bob: Person
) -> None:
    server = start_once(PARLEY_TAMPER="hurried,brief-grace")
    with TestSocket(server.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        assert reconnect_often(alice_socket, bob, server) == ["user_online", "user_offline"]


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    not settings.REDIS_URL, reason="Without Redis a process knows its own sockets only."
)
def test_a_user_who_reconnects_to_another_process_stays_online(
    start_once: Callable[..., ServerProcess], in_conversation: None, alice: Person, bob: Person
) -> None:
    one, other = (start_once(number, PARLEY_TAMPER="hurried,brief-grace") for number in range(2))
    with TestSocket(one.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        assert reconnect_often(alice_socket, bob, one, other) == ["user_online", "user_offline"]


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_process_without_grace_would_announce_each_reconnect(
    start_server: Callable[..., ServerProcess], in_conversation: None, alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    server = start_server(PARLEY_TAMPER="breathless,no-grace")
    with TestSocket(server.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        # A process that is busy may notice none of ten departures before Bob is back.
        until(lambda: len(reconnect_often(alice_socket, bob, server)) > 2)


@pytest.mark.django_db
def test_a_departure_that_cannot_be_announced_does_not_hinder_the_others(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalPresence()
    monkeypatch.setattr(presence_module, "presence_store", lambda: store)
    monkeypatch.setattr(presence_module, "GRACE_SECONDS", 0)
    monkeypatch.setattr(presence_module, "RETRY_ANNOUNCEMENT_SECONDS", 0)
    for user in (alice.user, bob.user):
        store.arrive([one := entry(user)])
        store.leave([one])
    announce = presence_module._announce_offline
    failing = {alice.user.pk}

    def fail_for_some(departures: Sequence[Departure]) -> None:
        if failing & {departure.user_id for departure in departures}:
            raise OperationalError
        announce(departures)

    monkeypatch.setattr(presence_module, "_announce_offline", fail_for_some)
    announce_departures()
    assert set(LastSeen.objects.values_list("user", flat=True)) == {bob.user.pk}
    failing.clear()
    announce_departures()
    assert set(LastSeen.objects.values_list("user", flat=True)) == {alice.user.pk, bob.user.pk}
    assert store.departures() == []


@pytest.mark.django_db(transaction=True)
def test_the_departure_of_a_deleted_account_is_not_announced(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalPresence()
    monkeypatch.setattr(presence_module, "presence_store", lambda: store)
    store.arrive([one := entry(alice.user)])
    store.leave([one])
    alice.user.delete()
    announce_departures(hurry=True)
    assert not LastSeen.objects.exists()
    assert store.departures(hurry=True) == []


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_user_sees_the_presence_of_peers_only(
    server: ServerProcess, in_conversation: None, alice: Person, bob: Person, carol: Person
) -> None:
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=bob.access),
        TestSocket(server.url, token=carol.access),
    ):
        asked = {"userIds": [bob.id, carol.id, str(uuid7())]}
        until(lambda: alice_socket.ask("presence", asked)["data"]["presence"][bob.id]["online"])
        answer = alice_socket.ask("presence", asked)
        assert answer["type"] == "presence"
        assert list(answer["data"]["presence"]) == [bob.id]


@pytest.mark.django_db
def test_an_audience_is_looked_up_among_the_given_users_only(
    in_conversation: None, alice: Person, bob: Person, carol: Person
) -> None:
    message_send(Draft(carol.user.pk, alice.user.pk, "Hello"))
    assert audiences_of([alice.user.pk]) == {alice.user.pk: {bob.user.pk, carol.user.pk}}
    assert visible_to(alice.user.pk, {bob.user.pk, uuid7()}) == {bob.user.pk}


@pytest.mark.django_db
def test_an_arrival_makes_frames_for_peers_who_are_online_only(
    in_conversation: None,
    alice: Person,
    bob: Person,
    carol: Person,
    moderator: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for other in (carol, moderator):
        message_send(Draft(alice.user.pk, other.user.pk, "Hello"))
    store = LocalPresence()
    monkeypatch.setattr(presence_module, "presence_store", lambda: store)
    monkeypatch.setattr(presence_module, "LOOKED_UP_AT_ONCE", 1)
    streams: list[str] = []
    monkeypatch.setattr(
        presence_module,
        "signal",
        lambda *signals: streams.extend(name for one in signals for name in one.streams()),
    )
    for user in (bob.user, moderator.user):
        store.arrive([entry(user)])
    announce_presence([Arrival(alice.user.pk, version=1)])
    assert set(streams) == {USER.name(bob.user.pk), USER.name(moderator.user.pk)}


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_the_list_of_conversations_says_who_is_online(
    start_once: Callable[..., ServerProcess], in_conversation: None, alice: Person, bob: Person
) -> None:
    server = start_once(PARLEY_TAMPER="hurried,brief-grace")
    headers = {"Authorization": f"Bearer {alice.access}"}

    def shown() -> bool:
        answer = server.call("GET", "/api/v1/messages/conversations", headers=headers)
        online: bool = answer.json()["data"][0]["isOnline"]
        return online

    assert not shown()
    with TestSocket(server.url, token=bob.access):
        until(shown)
        sessions = server.call(
            "GET", "/api/v1/auth/sessions", headers={"Authorization": f"Bearer {bob.access}"}
        )
        assert sessions.json()["data"][0]["sockets"] == 1
    until(lambda: not shown())


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    not settings.REDIS_URL, reason="Without Redis a process knows its own sockets only."
)
def test_the_users_of_a_killed_process_go_offline(
    start_server: Callable[..., ServerProcess], in_conversation: None, alice: Person, bob: Person
) -> None:
    one = start_server(PARLEY_TAMPER="hurried,short-lived,brief-grace")
    other = start_server(PARLEY_TAMPER="hurried,short-lived,brief-grace")
    with TestSocket(one.url, token=alice.access) as alice_socket:
        bob_socket = TestSocket(other.url, token=bob.access)
        alice_socket.expect("user_online")
        other.kill()
        assert alice_socket.expect("user_offline", seconds=15)["data"]["userId"] == bob.id
        bob_socket.close()


@pytest.mark.django_db
def test_the_presence_of_no_users_needs_no_redis() -> None:
    assert presence_of([]) == {}


def changes(socket: TestSocket) -> list[str]:
    """Return the types of the frames about arrivals and departures that the socket received."""
    return [frame["type"] for frame in socket.settle() if frame["type"].startswith("user_")]


def is_online(socket: TestSocket, person: Person) -> bool:
    answer = socket.ask("presence", {"userIds": [person.id]})
    online: bool = answer["data"]["presence"][person.id]["online"]
    return online


def entry(user: User) -> PresenceEntry:
    return PresenceEntry(user.pk, uuid7(), str(uuid7()))
