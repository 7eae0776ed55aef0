"""Who is online, and who is told (original defects 29, 31)."""

from collections.abc import Callable

import pytest
from django.conf import settings

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.chat.services import Draft, message_send
from apps.core.ids import uuid7
from apps.core.testing.server import ServerProcess, until
from apps.core.testing.socket import TestSocket
from apps.realtime import presence_stores
from apps.realtime.presence import Presence, presence_of
from apps.realtime.sockets import Device


@pytest.fixture
def acquainted(alice: Person, bob: Person) -> None:
    message_send(Draft(alice.user.pk, bob.user.pk, "Hello"))


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_only_acquaintances_hear_of_the_first_device_and_the_last(
    server: ServerProcess, acquainted: None, alice: Person, bob: Person, carol: Person
) -> None:
    with (
        TestSocket(server.url, token=alice.access) as hers,
        TestSocket(server.url, token=carol.access) as strangers,
    ):
        phone = TestSocket(server.url, token=bob.access)
        assert hers.expect("user_online")["data"] == {"userId": bob.id}
        tablet = TestSocket(server.url, token=bob.another_device().access)
        tablet.settle()
        phone.close()
        until(lambda: presences(server) == 3)
        assert [frame["type"] for frame in hers.settle()] == ["connected"]
        tablet.close()
        gone = hers.expect("user_offline")["data"]
        assert gone["userId"] == bob.id
        assert gone["lastSeenAt"].endswith("Z")
        assert [frame["type"] for frame in strangers.settle()] == ["connected"]


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_one_may_ask_after_acquaintances_only(
    server: ServerProcess, acquainted: None, alice: Person, bob: Person, carol: Person
) -> None:
    with (
        TestSocket(server.url, token=alice.access) as hers,
        TestSocket(server.url, token=bob.access),
        TestSocket(server.url, token=carol.access),
    ):
        asked = {"userIds": [bob.id, carol.id, str(uuid7())]}
        until(lambda: hers.ask("presence", asked)["data"]["presence"][bob.id]["online"])
        answer = hers.ask("presence", asked)
        assert answer["type"] == "presence"
        assert list(answer["data"]["presence"]) == [bob.id]


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_conversations_say_who_is_online(
    server: ServerProcess, acquainted: None, alice: Person, bob: Person
) -> None:
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
@pytest.mark.skipif(not settings.REDIS_URL, reason="Without Redis a process knows its own only.")
def test_a_killed_process_leaves_nobody_online(
    start_server: Callable[..., ServerProcess], acquainted: None, alice: Person, bob: Person
) -> None:
    one = start_server(PARLEY_TAMPER="hurried,short-lived")
    other = start_server(PARLEY_TAMPER="hurried,short-lived")
    with TestSocket(one.url, token=alice.access) as hers:
        his = TestSocket(other.url, token=bob.access)
        hers.expect("user_online")
        other.kill()
        assert hers.expect("user_offline", seconds=15)["data"]["userId"] == bob.id
        his.close()


@pytest.fixture(params=["LocalPresence", "RedisPresence"])
def store(request: pytest.FixtureRequest) -> Presence:
    if request.param == "RedisPresence" and not settings.REDIS_URL:
        pytest.skip("There is no Redis in this run.")
    made: Presence = getattr(presence_stores, request.param)()
    return made


def device(user: User | None = None) -> Device:
    return Device(user.pk if user else uuid7(), uuid7(), str(uuid7()))


def test_first_and_last_are_told_apart(store: Presence) -> None:
    first = device()
    second = Device(first.user_id, uuid7(), "second")
    assert store.enter(first) == 0
    assert store.enter(second) == 1
    assert store.sockets(first.user_id) == {first.session_id: 1, second.session_id: 1}
    assert store.leave(first) is False
    assert store.online([first.user_id]) == {first.user_id}
    assert store.leave(second) is True
    assert store.leave(second) is False
    assert store.online([first.user_id]) == set()


def test_the_eleventh_is_not_let_in(store: Presence) -> None:
    first = device()
    for number in range(10):
        assert store.enter(Device(first.user_id, first.session_id, str(number))) == number
    assert store.enter(Device(first.user_id, first.session_id, "11th")) == -1
    assert store.sockets(first.user_id).total() == 10


def test_who_stays_connected_stays_online(store: Presence, monkeypatch: pytest.MonkeyPatch) -> None:
    """Original defect 29."""
    monkeypatch.setattr(presence_stores, "ALIVE_FOR", 2)
    one = device()
    store.enter(one)
    beats = iter(range(8))

    def beaten() -> bool:
        assert store.beat([one]) == []
        assert store.online([one.user_id]) == {one.user_id}
        return next(beats) == 7

    until(beaten)


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_who_dies_without_a_word_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_stores, "ALIVE_FOR", 1)
    one, stores = device(), [presence_stores.RedisPresence() for _ in range(2)]
    stores[0].enter(one)
    reports: list[object] = []

    def reported() -> bool:
        for store in stores:
            reports.extend(store.beat([]))
        return one.user_id in reports

    until(reported)
    assert stores[0].online([one.user_id]) == set()
    reported()
    assert reports.count(one.user_id) == 1


@pytest.mark.django_db
def test_presence_of_nobody_needs_no_redis() -> None:
    assert presence_of([]) == {}


def presences(server: ServerProcess) -> int:
    connections: int = server.call("GET", "/health").json()["websocket"]["connections"]
    return connections
