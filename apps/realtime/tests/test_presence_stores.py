"""The stores of presence: arrivals, departures, and limits of sockets. Both behave alike."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from apps.core.ids import uuid7
from apps.core.redis import RedisDown, with_redis
from apps.realtime import presence, redis_presence
from apps.realtime.local_presence import LocalPresence
from apps.realtime.presence import (
    ALIVE_SECONDS,
    Arrival,
    Departure,
    Entered,
    PresenceStore,
    TooManySockets,
)
from apps.realtime.redis_presence import RedisPresence
from apps.realtime.sockets import PresenceEntry
from testing.server import until

needs_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")


def entry() -> PresenceEntry:
    return PresenceEntry(uuid7(), uuid7(), str(uuid7()))


@pytest.fixture(params=[LocalPresence, pytest.param(RedisPresence, marks=needs_redis)])
def store(request: pytest.FixtureRequest) -> PresenceStore:
    made: PresenceStore = request.param()
    return made


def test_only_the_first_socket_of_a_user_is_an_arrival(store: PresenceStore) -> None:
    first = entry()
    second = PresenceEntry(first.user_id, uuid7(), "second")
    arrival = enter(store, first)
    assert isinstance(arrival, Arrival)
    assert arrival.user_id == first.user_id
    assert enter(store, second) is None
    assert store.sockets(first.user_id) == {first.session_id: 1, second.session_id: 1}


def test_only_the_last_socket_of_a_user_is_a_departure(
    store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    first = entry()
    second = PresenceEntry(first.user_id, uuid7(), "second")
    arrival = enter(store, first)
    enter(store, second)
    store.leave([first])
    assert departed(store, first) == []
    assert store.online([first.user_id]) == {first.user_id}
    store.leave([second])
    [departure] = until(lambda: departed(store, first))
    assert isinstance(arrival, Arrival)
    assert departure.version > arrival.version
    assert store.online([first.user_id]) == set()
    assert departed(store, first) == []


def test_a_user_who_comes_back_in_time_does_not_depart(store: PresenceStore) -> None:
    one = entry()
    enter(store, one)
    store.leave([one])
    assert store.online([one.user_id]) == {one.user_id}
    assert enter(store, one) is None
    assert departed(store, one) == []


def test_a_user_was_last_seen_when_they_left_and_not_when_that_was_noticed(
    store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "GRACE_SECONDS", 2)
    one = entry()
    store.arrive([one])
    before = timezone.now()
    store.leave([one])
    after = timezone.now()
    [departure] = until(lambda: departed(store, one))
    # The store may round.
    margin = timedelta(milliseconds=2)
    assert before - margin <= departure.at <= after + margin
    assert timezone.now() > departure.at + timedelta(seconds=1)


def test_a_departure_that_was_not_announced_is_returned_again(
    store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    monkeypatch.setattr(presence, "RETRY_ANNOUNCEMENT_SECONDS", 0)
    one = entry()
    enter(store, one)
    store.leave([one])
    assert until(lambda: departed(store, one))
    assert until(lambda: departed(store, one))
    store.mark_announced([one.user_id])
    assert departed(store, one) == []


def test_a_user_who_comes_back_during_the_announcement_arrives_again(
    store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    one = entry()
    enter(store, one)
    store.leave([one])
    [departure] = until(lambda: departed(store, one))
    arrival = enter(store, one)
    assert isinstance(arrival, Arrival)
    assert arrival.version > departure.version


def test_the_eleventh_socket_is_refused(store: PresenceStore) -> None:
    first = entry()
    for number in range(10):
        enter(store, PresenceEntry(first.user_id, first.session_id, str(number)))
    eleventh = enter(store, PresenceEntry(first.user_id, first.session_id, "11th"))
    assert isinstance(eleventh, TooManySockets)
    assert store.sockets(first.user_id).total() == 10


def test_sockets_that_arrive_together_have_outcomes_of_their_own(store: PresenceStore) -> None:
    alice, bob = uuid7(), uuid7()
    sockets = [PresenceEntry(alice, uuid7(), str(number)) for number in range(12)]
    entered = store.arrive([*sockets, PresenceEntry(bob, uuid7(), "one")])
    kinds = [type(one) for one in entered]
    assert kinds == [Arrival, *[type(None)] * 9, TooManySockets, TooManySockets, Arrival]
    assert store.sockets(alice).total() == 10
    assert store.online([alice, bob]) == {alice, bob}


def test_sockets_that_leave_together_are_gone(
    store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    left = [entry() for _ in range(250)]
    stays = PresenceEntry(left[0].user_id, uuid7(), "stays")
    store.arrive([*left, stays])
    store.leave(left)
    assert store.online([one.user_id for one in left]) == {stays.user_id}
    assert store.sockets(stays.user_id) == {stays.session_id: 1}


def test_a_user_who_stays_connected_stays_online(
    store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that was not refreshed would expire while it is open."""
    monkeypatch.setattr(presence, "ALIVE_SECONDS", 2)
    one = entry()
    enter(store, one)
    refreshes = iter(range(8))

    def refreshed() -> bool:
        assert store.refresh([one]) == []
        assert departed(store, one) == []
        assert store.online([one.user_id]) == {one.user_id}
        return next(refreshes) == 7

    until(refreshed)


@needs_redis
def test_a_socket_that_is_not_refreshed_departs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "ALIVE_SECONDS", 1)
    one, stores = entry(), [RedisPresence() for _ in range(2)]
    enter(stores[0], one)
    departures = until(lambda: [d for store in stores for d in departed(store, one)])
    assert len(departures) == 1
    assert stores[0].online([one.user_id]) == set()
    assert [d for store in stores for d in departed(store, one)] == []


@needs_redis
def test_a_user_is_online_no_longer_than_the_socket_that_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process of the tablet died, and then the phone leaves."""
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    store, tablet = RedisPresence(), entry()
    phone = PresenceEntry(tablet.user_id, uuid7(), "phone")
    monkeypatch.setattr(presence, "ALIVE_SECONDS", 1)
    store.arrive([tablet])
    monkeypatch.setattr(presence, "ALIVE_SECONDS", 60)
    store.arrive([phone])
    store.leave([phone])
    assert until(lambda: departed(store, phone))


@needs_redis
def test_a_user_whom_redis_forgot_departs_when_they_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    one, store = entry(), RedisPresence()
    enter(store, one)
    with_redis("session", lambda client: client.delete(store._of(one.user_id), store._online))
    store.leave([one])
    assert until(lambda: departed(store, one))


@needs_redis
def test_a_user_who_leaves_while_redis_is_down_departs_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    one, store = entry(), RedisPresence()
    enter(store, one)
    with monkeypatch.context() as outage:

        def down(*_: Any) -> None:
            raise RedisDown

        outage.setattr(redis_presence, "with_redis", down)
        store.leave([one])
    with_redis("session", lambda client: client.delete(store._of(one.user_id), store._online))
    assert until(lambda: departed(store, one))
    assert departed(store, one) == []


@needs_redis
def test_the_sockets_of_a_process_that_died_make_room() -> None:
    store, user = RedisPresence(), uuid7()
    died = RedisPresence()
    for number in range(10):
        enter(died, PresenceEntry(user, uuid7(), str(number), uuid7().hex))
    enter(store, PresenceEntry(user, uuid7(), "after the crash"))
    assert store.sockets(user).total() == 1


@needs_redis
def test_sockets_that_missed_a_refresh_make_room() -> None:
    store, user = RedisPresence(), uuid7()
    hung = RedisPresence()
    for number in range(10):
        enter(hung, PresenceEntry(user, uuid7(), str(number)))
    assert isinstance(enter(store, PresenceEntry(user, uuid7(), "too early")), TooManySockets)
    # A socket is refreshed at least once in half of the time that it is taken to be alive.
    half = ALIVE_SECONDS / 2
    members = with_redis("session", lambda c: c.zrange(store._of(user), 0, -1, withscores=True))
    aged = {member: alive_until - half - 1 for member, alive_until in members}
    with_redis("session", lambda client: client.zadd(store._of(user), aged))
    enter(store, PresenceEntry(user, uuid7(), "after a while"))
    assert store.sockets(user).total() == 1


@needs_redis
def test_a_user_who_was_taken_for_dead_arrives_again_with_the_next_refresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence, "ALIVE_SECONDS", 1)
    one, store = entry(), RedisPresence()
    enter(store, one)
    [departure] = until(lambda: departed(store, one))
    [arrival] = store.refresh([one])
    assert arrival.version > departure.version
    assert store.online([one.user_id]) == {one.user_id}


@pytest.mark.parametrize("seconds", [-600, 600])
def test_the_clock_of_a_process_may_be_wrong(
    seconds: int, store: PresenceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is set while they are online, and those who left and came back are told of in order."""
    monkeypatch.setattr(presence, "GRACE_SECONDS", 0)
    one, two = entry(), entry()
    arrivals = store.arrive([one, two])
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: int((right() + seconds) * 1_000_000_000))
    assert store.online([one.user_id]) == {one.user_id}
    assert store.sockets(one.user_id) == {one.session_id: 1}
    store.leave([one])
    [departure] = until(lambda: departed(store, one))
    assert store.online([one.user_id, two.user_id]) == {two.user_id}
    assert isinstance(arrivals[0], Arrival)
    assert departure.version > arrivals[0].version


def departed(store: PresenceStore, one: PresenceEntry) -> list[Departure]:
    """Return the departures of that one user; the store may be shared with other tests."""
    return [d for d in store.departures() if d.user_id == one.user_id]


def enter(store: PresenceStore, one: PresenceEntry) -> Entered:
    """Return what becomes of one socket that arrives alone."""
    [entered] = store.arrive([one])
    return entered
