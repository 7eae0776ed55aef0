"""The events that a client missed, over HTTP: the same events, and the same rules, as on a
socket."""

from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.chat.groups import member_remove, members_add
from apps.chat.tests.factories import group_of
from apps.core.ids import uuid7
from apps.realtime import event_pages, selectors
from apps.realtime.event_log import events_prune, pages_after
from apps.realtime.models import LoggedEvent, Stream
from apps.realtime.streams import USER
from apps.realtime.tests.factories import log_messages, log_posts

pytestmark = pytest.mark.django_db


def asked(reader: Person, stream: str = "", **query: Any) -> Any:
    """Return the data of the answer to a request for events, by default of the reader's stream."""
    response = reader.get("/events", {"stream": stream or own(reader), **query})
    assert response.status_code == 200, response.content
    assert response["Cache-Control"] == "no-store"
    return response.json()["data"]


def refused(reader: Person, **query: Any) -> tuple[int, list[str]]:
    """Return the status of a refusal, and the fields that it names."""
    response = reader.get("/events", query)
    return response.status_code, [one["field"] for one in response.json().get("errors", [])]


def own(reader: Person) -> str:
    return USER.name(reader.user.pk)


def seqs(stream: Any) -> list[int]:
    return [event["seq"] for event in stream["events"]]


def test_a_client_that_is_up_to_date_gets_the_head_and_no_events(bob: Person) -> None:
    log_messages(bob.user.pk, 3)
    epoch = Stream.objects.get(name=own(bob)).epoch
    expected = {"stream": own(bob), "head": 3, "epoch": epoch, "recovered": True, "events": []}
    assert asked(bob, after=3) == expected
    assert asked(bob, after=3, epoch=epoch) == expected


def test_a_stream_without_events_has_the_head_zero(bob: Person) -> None:
    found = asked(bob, after=0)
    assert (found["head"], found["epoch"], found["recovered"]) == (0, "", True)


def test_missed_events_come_in_order_as_they_are_on_a_socket(bob: Person) -> None:
    log_messages(bob.user.pk, 5)
    found = asked(bob, after=2)
    assert (found["head"], found["recovered"], seqs(found)) == (5, True, [3, 4, 5])
    logged = LoggedEvent.objects.get(stream=own(bob), seq=3)
    first = found["events"][0]
    assert (first["type"], first["stream"]) == ("chat_message", own(bob))
    assert first["data"] == logged.data


def test_a_client_that_is_far_behind_gets_page_after_page(bob: Person) -> None:
    log_messages(bob.user.pk, 250)
    got: list[int] = []
    pages = 0
    while not got or got[-1] < 250:
        found = asked(bob, after=len(got))
        assert found["head"] == 250
        got += seqs(found)
        pages += 1
    assert (got, pages) == (list(range(1, 251)), 3)


def test_a_page_is_bounded_in_bytes(bob: Person) -> None:
    log_messages(bob.user.pk, 30, content="x" * 50_000)
    found = asked(bob, after=0)
    assert found["head"] == 30
    assert len(found["events"]) < 30
    assert sum(len(str(event)) for event in found["events"]) < 700_000


@pytest.mark.parametrize("query", [{"after": 7}, {"after": 2, "epoch": "another"}])
def test_a_client_with_numbers_of_another_epoch_begins_anew(
    bob: Person, query: dict[str, Any]
) -> None:
    log_messages(bob.user.pk, 4)
    found = asked(bob, **query)
    assert (found["head"], found["recovered"], found["events"]) == (4, False, [])


def test_a_client_that_asks_for_more_than_is_kept_begins_anew(bob: Person) -> None:
    log_messages(bob.user.pk, 4)
    LoggedEvent.objects.filter(seq__lte=2).update(created_at="2020-01-01T00:00:00Z")
    assert events_prune() == 2
    assert asked(bob, after=1)["recovered"] is False
    assert seqs(asked(bob, after=2)) == [3, 4]


def test_a_client_without_a_number_learns_the_head(bob: Person) -> None:
    log_messages(bob.user.pk, 4)
    found = asked(bob)
    assert (found["head"], found["recovered"], found["events"]) == (4, False, [])


def test_several_streams_are_asked_for_at_once(bob: Person) -> None:
    log_messages(bob.user.pk, 2)
    log_posts(3)
    epoch = Stream.objects.get(name="feed").epoch
    found = asked(bob, f"{own(bob)},feed", after="1,0", epoch=f",{epoch}")
    assert [one["stream"] for one in found["streams"]] == [own(bob), "feed"]
    assert [seqs(one) for one in found["streams"]] == [[2], [1, 2, 3]]
    both = asked(bob, f"feed,{own(bob)}", after="3,9")["streams"]
    assert [one["recovered"] for one in both] == [True, False]


def test_a_stream_that_finds_no_room_is_left_for_the_next_request(
    bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_pages, "PAGE_EVENTS", 3)
    log_messages(bob.user.pk, 5)
    log_posts(1)
    got: list[tuple[str, int]] = []
    after = {own(bob): 0, "feed": 0}
    while len(got) < 6:
        found = asked(bob, ",".join(after), after=",".join(map(str, after.values())))
        for one in found["streams"]:
            assert len(one["events"]) <= 3
            got += [(one["stream"], seq) for seq in seqs(one)]
            after[one["stream"]] += len(one["events"])
    assert got == [*((own(bob), seq) for seq in range(1, 6)), ("feed", 1)]


@pytest.mark.parametrize("stream", ["user.{carol}", "feed.x", "conversation.{carol}", "nonsense"])
def test_a_stream_of_others_and_an_unknown_one_are_refused_alike(
    bob: Person, carol: Person, stream: str
) -> None:
    log_messages(carol.user.pk, 1)
    name = stream.format(carol=carol.id)
    response = bob.get("/events", {"stream": name, "after": 0})
    body = response.json()
    assert (response.status_code, body["code"]) == (404, "NOT_FOUND")
    assert body["message"] == "There is no such stream"
    assert refused(bob, stream=f"feed,{name}", after="0,0") == (404, [])


def test_an_anonymous_user_is_refused(anonymous: Any) -> None:
    assert anonymous.get("/api/v1/events", {"stream": "feed", "after": 0}).status_code == 401


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({}, ["stream"]),
        ({"stream": ""}, ["stream"]),
        ({"stream": "feed,"}, ["stream"]),
        ({"stream": "feed,feed", "after": "1,1"}, ["stream"]),
        ({"stream": ",".join(["feed"] * 21)}, ["stream"]),
        ({"stream": "x" * 101}, ["stream"]),
        ({"stream": "feed", "after": "-1"}, ["after"]),
        ({"stream": "feed", "after": "one"}, ["after"]),
        ({"stream": "feed", "after": "1_0"}, ["after"]),
        ({"stream": "feed", "after": "9" * 19}, ["after"]),
        ({"stream": "feed", "after": "1,2"}, ["after"]),
        ({"stream": "feed", "epoch": "x" * 13}, ["epoch"]),
        ({"stream": "feed", "epoch": "a,b"}, ["epoch"]),
        ({"stream": "feed", "wait": 26}, ["wait"]),
        ({"stream": "feed", "wait": "-1"}, ["wait"]),
        ({"stream": "", "after": "x", "wait": "long"}, ["stream", "after", "wait"]),
    ],
)
def test_wrong_parameters_are_named(bob: Person, query: dict[str, Any], fields: list[str]) -> None:
    assert refused(bob, **query) == (422, fields)


def test_a_member_reads_from_the_event_on_with_which_they_joined(
    alice: Person, bob: Person, carol: Person
) -> None:
    group = group_of(alice.user, carol.user)
    stream = f"conversation.{group.pk}"
    members_add(alice.user, conversation_id=group.pk, user_ids=[bob.user.pk])
    head = Stream.objects.get(name=stream).head
    assert asked(bob, stream, after=0)["recovered"] is False
    assert seqs(asked(bob, stream, after=head - 1)) == [head]
    member_remove(alice.user, conversation_id=group.pk, user_id=bob.user.pk)
    assert refused(bob, stream=stream, after=head) == (404, [])


@pytest.mark.parametrize("how", ["removed", "logged out"])
def test_a_reader_who_loses_the_right_while_events_are_read_is_shown_none(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The events may have happened after that."""
    group = group_of(alice.user, bob.user)

    def read_and_lose(*arguments: Any) -> Any:
        found = pages_after(*arguments)
        if how == "removed":
            member_remove(alice.user, conversation_id=group.pk, user_id=bob.user.pk)
        else:
            bob.user.sessions.update(ended_at="2026-01-01T00:00:00Z")
        return found

    monkeypatch.setattr(selectors, "pages_after", read_and_lose)
    expected = 404 if how == "removed" else 401
    assert refused(bob, stream=f"conversation.{group.pk}", after=0)[0] == expected


def test_a_reader_who_comes_back_meanwhile_is_not_shown_what_they_missed(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = group_of(alice.user, bob.user)
    stream = f"conversation.{group.pk}"
    monkeypatch.setattr(selectors, "heads", lambda names: dict.fromkeys(names, (1, "")))
    reads = iter([{bob.user.pk: 0}, {bob.user.pk: 3}])
    monkeypatch.setattr(selectors, "readers_of", lambda name, users: next(reads))
    assert refused(bob, stream=stream, after=0)[0] == 404


def test_the_view_does_not_wait(bob: Person) -> None:
    """A view has a thread. The requests that wait are answered before it."""
    assert asked(bob, after=0, wait=25)["events"] == []


def test_an_unknown_user_stream_is_as_unknown_as_that_of_another_user(bob: Person) -> None:
    assert refused(bob, stream=USER.name(uuid7()), after=0) == (404, [])
