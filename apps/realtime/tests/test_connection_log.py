"""The timeline of each websocket, which administrators are shown."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.tests.people import Person, person
from apps.core.ids import uuid7
from apps.realtime import closing, connection_log
from apps.realtime.connection_log import (
    MOST_STEPS,
    MOST_STREAMS,
    Timeline,
    Timelines,
    timelines_prune,
    timelines_save,
)
from apps.realtime.models import SocketTimeline
from apps.realtime.sockets import PresenceEntry
from apps.realtime.tests.factories import log_messages, new_timeline
from apps.realtime.wire import Wire, printable
from config.tests.test_admin_matrix import browser_of
from testing.server import ServerProcess, until
from testing.socket import TestSocket

SCOPE = {"headers": [(b"user-agent", b"Parley/1")], "client": ("203.0.113.77", 1234)}


def timeline_of(user: User) -> Timeline:
    socket_id = str(uuid7())
    return Timeline(PresenceEntry(user.pk, uuid7(), socket_id), Wire(SCOPE, Mock(), socket_id))


def whats(row: SocketTimeline) -> list[str]:
    return [step["what"] for step in row.steps]


@pytest.fixture
def server(start_once: Callable[..., ServerProcess]) -> ServerProcess:
    """A server that writes timelines at once."""
    return start_once(PARLEY_TAMPER="writes-timelines-soon")


@pytest.mark.integration
def test_a_timeline_tells_how_a_socket_went(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    log_messages(alice.user.pk, 3)
    stream = f"user.{alice.user.pk}"
    agent = {"User-Agent": "Adas telephone"}
    with TestSocket(server.url, token=alice.access, user_agent_header=None, headers=agent) as one:
        one.expect("connected")
        one.ask("subscribe", {"stream": "user." + str(bob.user.pk)})
        one.send("subscribe", {"stream": stream, "after": 1})
        one.expect("subscribed")
        one.send("subscribe", {"stream": stream, "after": 99})
        one.expect("reset")

        def with_five_steps() -> list[SocketTimeline]:
            return [row for row in SocketTimeline.objects.all() if len(row.steps) == 5]

        [row] = until(with_five_steps)
        assert row.closed_at is None
    until(lambda: SocketTimeline.objects.filter(code=1000).exists())
    row = SocketTimeline.objects.get()
    assert whats(row) == ["connected", "resumed", "had", "reset", "had"]
    assert (row.steps[2]["number"], row.steps[4]["number"]) == (1, 99)
    assert row.sent[stream] == 3
    # What the log would show of the address.
    assert (row.address, row.user_agent) == ("127.0.0.0", "Adas telephone")
    assert row.closed_at is not None


@pytest.mark.integration
def test_a_timeline_tells_why_the_server_closed_a_socket(
    server: ServerProcess, alice: Person
) -> None:
    with TestSocket(server.url, token=alice.access) as socket:
        socket.expect("connected")
        for _ in range(3):
            socket.send_unchecked("no JSON")
        assert socket.closed_with() == closing.MALFORMED
    assert until(lambda: SocketTimeline.objects.filter(code=closing.MALFORMED).exists())


@pytest.mark.django_db
def test_a_timeline_is_written_again_when_it_has_changed(alice: Person) -> None:
    timeline = timeline_of(alice.user)
    timeline.note("subscribed", stream="feed", head=1)
    timelines_save([timeline])
    timeline.end(4999, {"feed": 2})
    timelines_save([timeline])
    row = SocketTimeline.objects.get()
    assert (whats(row), row.code, row.sent) == (["subscribed"], 4999, {"feed": 2})


@pytest.mark.django_db
def test_a_user_who_was_erased_costs_others_nothing(alice: Person) -> None:
    timelines_save([timeline_of(User(pk=uuid7())), timeline_of(alice.user)])
    assert SocketTimeline.objects.get().user == alice.user


@pytest.mark.django_db
def test_a_timeline_has_a_bound(alice: Person) -> None:
    timeline = timeline_of(alice.user)
    for number in range(MOST_STEPS + 5):
        timeline.note("subscribed", stream="feed", head=number)
    timeline.end(None, {f"feed.{number}": 1 for number in range(MOST_STREAMS + 5)})
    timelines_save([timeline])
    row = SocketTimeline.objects.get()
    assert [step["head"] for step in row.steps] == list(range(5, MOST_STEPS + 5))
    assert len(row.sent) == MOST_STREAMS


@pytest.mark.django_db
def test_while_the_database_is_away_some_timelines_wait_and_the_rest_is_dropped(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Timeline] = []
    save = Mock(side_effect=OperationalError)
    timelines = Timelines()
    monkeypatch.setattr(timelines, "_writing", True)
    monkeypatch.setattr(timelines, "_start_timer", Mock())
    monkeypatch.setattr(connection_log, "MOST_WAITING", 2)
    monkeypatch.setattr(connection_log, "timelines_save", save)
    first, second, third = (timeline_of(alice.user) for _ in range(3))
    for each in (first, second, third, first):
        timelines.changed(each)
    timelines.flush()
    save.side_effect = saved.extend
    timelines.flush()
    assert saved == [first, second]
    saved.clear()
    timelines.flush()
    assert saved == []


@pytest.mark.django_db
def test_a_timeline_is_kept_for_a_day(alice: Person) -> None:
    old, new = new_timeline(alice.user), new_timeline(alice.user)
    SocketTimeline.objects.filter(pk=old.pk).update(written_at=timezone.now() - timedelta(days=2))
    assert timelines_prune() == 1
    assert SocketTimeline.objects.get() == new


def test_no_sign_of_a_user_agent_is_one_that_a_database_refuses() -> None:
    assert printable(b"Parley\0/1\n" + 300 * b"x") == "Parley?/1?" + 190 * "x"


@pytest.mark.django_db
def test_an_administrator_reads_a_timeline(alice: Person, settings: Any) -> None:
    row = new_timeline(alice.user)
    SocketTimeline.objects.filter(pk=row.pk).update(user_agent="<script>", code=4408)
    browser: Client = browser_of(person("Morton", User.Role.ADMIN))
    page = browser.get(f"/admin/realtime/sockettimeline/{row.pk}/change/").text
    assert "subscribed head=3 stream=feed" in page
    assert "4408 frames were not read in time" in page
    assert "<script>" not in page.replace("<script src", "").replace("<script id", "")
    found = browser.get("/admin/realtime/sockettimeline/?q=alice")
    assert str(row.pk) in found.text
