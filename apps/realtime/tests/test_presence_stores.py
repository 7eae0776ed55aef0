"""Where it is kept who is online: who arrives, who departs, and in which order that is told."""

from collections.abc import Coroutine
from typing import Any, cast
from unittest.mock import Mock

import pytest
from django.conf import settings

from apps.core.ids import uuid7
from apps.core.redis import RedisDown, with_redis
from apps.realtime import presence_stores
from apps.realtime.frames import Frame
from apps.realtime.pages import Pages
from apps.realtime.presence import ALIVE_FOR, Departure, PresenceStore, TooManySockets
from apps.realtime.sockets import PresenceEntry, Socket
from apps.realtime.stream_subscribers import StreamSubscribers
from testing.server import until


def entry() -> PresenceEntry:
    return PresenceEntry(uuid7(), uuid7(), str(uuid7()))


@pytest.fixture(params=["LocalPresence", "RedisPresence"])
def store(request: pytest.FixtureRequest) -> PresenceStore:
    if request.param == "RedisPresence" and not settings.REDIS_URL:
        pytest.skip("There is no Redis in this run.")
    made: PresenceStore = getattr(presence_stores, request.param)()
    return made


def test_only_the_first_socket_of_a_person_is_an_arrival(store: PresenceStore) -> None:
    first = entry()
    second = PresenceEntry(first.user_id, uuid7(), "second")
    arrival = store.enter(first)
    assert arrival is not None
    assert arrival.user_id == first.user_id
    assert store.enter(second) is None
    assert store.sockets(first.user_id) == {first.session_id: 1, second.session_id: 1}


def test_only_the_last_socket_of_a_person_is_a_departure(
    store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_stores, "GRACE", 0)
    first = entry()
    second = PresenceEntry(first.user_id, uuid7(), "second")
    arrival = store.enter(first)
    store.enter(second)
    store.leave(first)
    assert departed(store, first) == []
    assert store.online([first.user_id]) == {first.user_id}
    store.leave(second)
    [departure] = until(lambda: departed(store, first))
    assert arrival is not None
    assert departure.version > arrival.version
    assert store.online([first.user_id]) == set()
    assert departed(store, first) == []


def test_a_departure_is_none_when_the_person_is_back_in_time(store: PresenceStore) -> None:
    one = entry()
    store.enter(one)
    store.leave(one)
    assert store.online([one.user_id]) == {one.user_id}
    assert store.enter(one) is None
    assert departed(store, one) == []


def test_a_departure_that_nobody_told_is_taken_up_again(
    store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_stores, "GRACE", 0)
    monkeypatch.setattr(presence_stores, "ANNOUNCED_WITHIN", 0)
    one = entry()
    store.enter(one)
    store.leave(one)
    assert until(lambda: departed(store, one))
    assert until(lambda: departed(store, one))
    store.announced(one.user_id)
    assert departed(store, one) == []


def test_who_comes_back_while_the_departure_is_told_arrives_anew(
    store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_stores, "GRACE", 0)
    one = entry()
    store.enter(one)
    store.leave(one)
    [departure] = until(lambda: departed(store, one))
    arrival = store.enter(one)
    assert arrival is not None
    assert arrival.version > departure.version


def test_the_eleventh_is_not_let_in(store: PresenceStore) -> None:
    first = entry()
    for number in range(10):
        store.enter(PresenceEntry(first.user_id, first.session_id, str(number)))
    with pytest.raises(TooManySockets):
        store.enter(PresenceEntry(first.user_id, first.session_id, "11th"))
    assert store.sockets(first.user_id).total() == 10


def test_who_stays_connected_stays_online(
    store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Original defect 29."""
    monkeypatch.setattr(presence_stores, "ALIVE_FOR", 2)
    one = entry()
    store.enter(one)
    beats = iter(range(8))

    def beaten() -> bool:
        assert store.beat([one]) == []
        assert departed(store, one) == []
        assert store.online([one.user_id]) == {one.user_id}
        return next(beats) == 7

    until(beaten)


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_who_dies_without_a_word_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_stores, "ALIVE_FOR", 1)
    one, stores = entry(), [presence_stores.RedisPresence() for _ in range(2)]
    stores[0].enter(one)
    reports = until(lambda: [d for store in stores for d in departed(store, one)])
    assert len(reports) == 1
    assert stores[0].online([one.user_id]) == set()
    assert [d for store in stores for d in departed(store, one)] == []


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_who_leaves_after_redis_forgot_them_departs_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence_stores, "GRACE", 0)
    one, store = entry(), presence_stores.RedisPresence()
    store.enter(one)
    with_redis("session", lambda client: client.delete(store._of(one.user_id), store._online))
    store.leave(one)
    assert until(lambda: departed(store, one))


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_who_leaves_while_redis_is_down_departs_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence_stores, "GRACE", 0)
    one, store = entry(), presence_stores.RedisPresence()
    store.enter(one)
    with monkeypatch.context() as away:

        def down(*_: Any) -> None:
            raise RedisDown

        away.setattr(presence_stores, "with_redis", down)
        store.leave(one)
    with_redis("session", lambda client: client.delete(store._of(one.user_id), store._online))
    assert until(lambda: departed(store, one))
    assert departed(store, one) == []


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_the_sockets_of_a_process_that_died_make_room() -> None:
    store, user = presence_stores.RedisPresence(), uuid7()
    died = presence_stores.RedisPresence()
    for number in range(10):
        died.enter(PresenceEntry(user, uuid7(), str(number), uuid7().hex))
    store.enter(PresenceEntry(user, uuid7(), "after the crash"))
    assert store.sockets(user).total() == 1


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_the_sockets_of_a_process_that_fell_silent_make_room_after_a_beat() -> None:
    store, user = presence_stores.RedisPresence(), uuid7()
    silent = presence_stores.RedisPresence()
    for number in range(10):
        silent.enter(PresenceEntry(user, uuid7(), str(number)))
    with pytest.raises(TooManySockets):
        store.enter(PresenceEntry(user, uuid7(), "too early"))
    # Half of the time that they are taken to be alive for goes by, and a beat with it.
    half = ALIVE_FOR / 2
    members = with_redis("session", lambda c: c.zrange(store._of(user), 0, -1, withscores=True))
    aged = {member: until_ - half - 1 for member, until_ in members}
    with_redis("session", lambda client: client.zadd(store._of(user), aged))
    store.enter(PresenceEntry(user, uuid7(), "after a while"))
    assert store.sockets(user).total() == 1


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_who_was_taken_for_dead_and_is_not_arrives_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_stores, "ALIVE_FOR", 1)
    one, store = entry(), presence_stores.RedisPresence()
    store.enter(one)
    [departure] = until(lambda: departed(store, one))
    [arrival] = store.beat([one])
    assert arrival.version > departure.version
    assert store.online([one.user_id]) == {one.user_id}


def test_a_late_departure_does_not_follow_the_arrival_after_it() -> None:
    """Two processes tell of one person at once, and are heard in the wrong order."""
    follower = Follower()
    feed = feed_of(follower)
    feed.take(Frame("user.1", None, "online", "presence bob", 20))
    feed.take(Frame("user.1", None, "offline", "presence bob", 10))
    feed.take(Frame("user.1", None, "carol's", "presence carol", 10))
    feed.take(Frame("user.1", None, "typing"))
    feed.take(Frame("user.1", None, "offline at last", "presence bob", 30))
    assert follower.got == ["online", "carol's", "typing", "offline at last"]


def departed(store: PresenceStore, one: PresenceEntry) -> list[Departure]:
    """Return the departures of that one person; a store may be shared with others."""
    return [d for d in store.departures() if d.user_id == one.user_id]


class Follower:
    """A socket that notes what it is sent."""

    def __init__(self) -> None:
        self.got: list[str] = []

    def push(self, text: str) -> None:
        self.got.append(text)


def feed_of(follower: Follower) -> StreamSubscribers:
    """Return a feed that the follower follows, from its beginning."""

    def standing(start: Coroutine[Any, Any, None]) -> Any:
        start.close()

    feed = StreamSubscribers("user.1", standing, Pages(), Mock())
    feed._subscribers.add(cast("Socket", follower))
    return feed
