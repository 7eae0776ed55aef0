"""Requests that wait for events: they end with the first one, and when they may not wait longer."""

import json
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.tests.people import Person, person
from apps.chat.groups import member_remove
from apps.chat.tests.factories import group_of, new_group_message
from apps.realtime.errors import POLLS_PER_USER
from apps.realtime.models import Stream
from apps.realtime.tests.factories import log_messages, log_posts
from apps.realtime.tests.test_losing_nothing import send
from apps.realtime.tests.waiting_polls import WaitingPoll, all_that_may_wait, seqs
from testing.server import ServerProcess, until
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

Start = Callable[..., ServerProcess]


def test_a_poll_ends_with_the_first_event(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    with all_that_may_wait(server, bob) as polls:
        send(server, alice, bob, "Hello")
        for poll in polls:
            data = poll.data()
            assert (data["head"], data["recovered"], seqs(data)) == (1, True, [1])
            assert data["events"][0]["data"]["message"]["content"] == "Hello"


def test_a_poll_of_a_client_that_missed_events_does_not_wait(
    server: ServerProcess, bob: Person
) -> None:
    log_messages(bob.user.pk, 130)
    with WaitingPoll(server, bob, after=2) as poll:
        data = poll.data()
        assert (data["head"], data["recovered"]) == (130, True)
        assert seqs(data) == list(range(3, 103))


@pytest.mark.parametrize("query", [{"after": 9}, {"after": 2, "epoch": "another"}])
def test_a_poll_with_numbers_of_another_epoch_does_not_wait(
    server: ServerProcess, bob: Person, query: dict[str, Any]
) -> None:
    log_messages(bob.user.pk, 2)
    with WaitingPoll(server, bob, **query) as poll:
        data = poll.data()
        assert (data["head"], data["recovered"], data["events"]) == (2, False, [])


def test_a_new_epoch_ends_a_poll(start_server: Start, bob: Person) -> None:
    server = start_server(PARLEY_TAMPER="hurried")
    log_messages(bob.user.pk, 2)
    with all_that_may_wait(server, bob, after=2) as polls:
        Stream.objects.update(epoch="another")
        data = polls[0].data()
        assert (data["epoch"], data["recovered"], data["events"]) == ("another", False, [])


def test_a_poll_ends_without_events_when_its_time_is_over(
    server: ServerProcess, bob: Person
) -> None:
    log_messages(bob.user.pk, 2)
    began = time.monotonic()
    with WaitingPoll(server, bob, after=2, wait=1) as poll:
        data = poll.data()
    assert time.monotonic() - began > 0.9
    assert (data["head"], data["recovered"], data["events"]) == (2, True, [])


def test_a_poll_of_several_streams_ends_with_an_event_of_one_of_them(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    log_posts(2)
    streams = f"user.{bob.id},feed"
    with all_that_may_wait(server, bob, stream=streams, after="0,2") as polls:
        send(server, alice, bob, "Hello")
        own, feed = polls[0].data()["streams"]
        assert (own["stream"], seqs(own)) == (f"user.{bob.id}", [1])
        assert (feed["stream"], feed["head"], feed["events"]) == ("feed", 2, [])


def test_a_signal_does_not_end_a_poll(server: ServerProcess, alice: Person, bob: Person) -> None:
    send(server, alice, bob, "Hello")
    with all_that_may_wait(server, bob, after=1) as polls:
        with TestSocket(server.url, token=alice.access) as socket:
            socket.ask("typing", {"receiverId": bob.id, "isTyping": True})
        send(server, alice, bob, "How are you?")
        assert [event["type"] for event in polls[0].data()["events"]] == ["chat_message"]


def test_a_logout_ends_the_polls_of_its_session(server: ServerProcess, bob: Person) -> None:
    tablet = bob.another_device()
    with all_that_may_wait(server, bob) as polls:
        headers = {"Authorization": f"Bearer {bob.access}"}
        server.call("POST", "/api/v1/auth/logout", headers=headers)
        assert {poll.refusal() for poll in polls} == {(401, "UNAUTHORIZED")}
    with WaitingPoll(server, tablet, wait=1) as poll:
        assert poll.data()["events"] == []


def test_a_member_who_is_removed_is_shown_nothing_more(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    group = group_of(alice.user, bob.user)
    stream = f"conversation.{group.pk}"
    head = Stream.objects.get(name=stream).head
    with all_that_may_wait(server, bob, stream=stream, after=head) as polls:
        member_remove(alice.user, conversation_id=group.pk, user_id=bob.user.pk)
        new_group_message(group, alice.user, "Without Bob")
        ended = {poll.refusal() for poll in polls}
    assert ended == {(404, "NOT_FOUND")}


def removed_without_a_control(
    start_server: Start, alice: Person, bob: Person, tamper: str
) -> list[int]:
    """Remove Bob from a group by a process whose controls reach nobody, then send to the group.
    Return the statuses of the polls that waited for it."""
    server = start_server(PARLEY_TAMPER=tamper, REDIS_URL="")
    group = group_of(alice.user, bob.user)
    stream = f"conversation.{group.pk}"
    head = Stream.objects.get(name=stream).head
    with all_that_may_wait(server, bob, stream=stream, after=head) as polls:
        member_remove(alice.user, conversation_id=group.pk, user_id=bob.user.pk)
        new_group_message(group, alice.user, "Without Bob")
        return [poll.answer()[0].status for poll in polls]


def test_a_member_whose_removal_was_not_received_is_shown_nothing_either(
    start_server: Start, alice: Person, bob: Person
) -> None:
    """The database is asked once more before events are shown."""
    statuses = removed_without_a_control(start_server, alice, bob, "hurried,without-notices")
    assert set(statuses) == {404}


def test_a_process_that_trusts_in_controls_shows_it(
    start_server: Start, alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    tamper = "hurried,without-notices,trusts-controls"
    assert 200 in removed_without_a_control(start_server, alice, bob, tamper)


def test_a_server_that_stops_answers_all_polls_at_once(start_server: Start, bob: Person) -> None:
    # They would wait as long as that, or as long as they asked for.
    server = start_server(SERVER_SHUTDOWN_TIMEOUT="20")
    log_messages(bob.user.pk, 2)
    with all_that_may_wait(server, bob, after=2) as polls:
        began = time.monotonic()
        server.send(signal.SIGTERM)
        for poll in polls:
            response, body = poll.answer()
            assert (response.status, body["data"]["events"]) == (200, [])
            assert response.getheader("Connection") == "close"
        assert time.monotonic() - began < 10
        assert server.stop() == 0


def test_one_user_may_have_so_many_polls_and_not_one_more(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    with all_that_may_wait(server, bob) as polls:
        with WaitingPoll(server, bob) as refused:
            response, body = refused.answer()
            assert (response.status, body["code"]) == (429, "RATE_LIMIT_EXCEEDED")
            assert body["message"].startswith(f"{POLLS_PER_USER} requests")
            assert response.getheader("Retry-After") == "1"
        with WaitingPoll(server, alice, wait=1) as of_alice:
            assert of_alice.data()["recovered"]
        # A client that leaves makes room.
        polls[0].connection.close()

        def waits() -> bool:
            with WaitingPoll(server, bob, wait=1) as poll:
                return poll.answer()[0].status == 200

        until(waits)


def headers_of(response: HTTPResponse) -> dict[str, str]:
    """Return the headers of a response that do not depend on its time."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    return {name: headers[name] for name in headers.keys() - {"date", "content-length"}}


def test_a_poll_has_the_headers_of_its_view_and_one_line_in_the_log(
    start_server: Start, bob: Person
) -> None:
    server = start_server(
        CORS_ALLOWED_ORIGINS="https://app.example", LOG_LEVEL="info", LOG_FORMAT="json"
    )
    headers = {"Origin": "https://app.example", "X-Request-ID": "my-poll"}
    with (
        WaitingPoll(server, bob, headers, wait=1) as waits,
        WaitingPoll(server, bob, headers, wait=0) as by_view,
        WaitingPoll(server, bob, {"X-Request-ID": "refused"}, stream="nonsense") as refused,
    ):
        (fast, content), (slow, same) = waits.answer(), by_view.answer()
        assert refused.refusal()[0] == 404
    assert headers_of(fast) == headers_of(slow)
    assert headers_of(fast)["access-control-allow-origin"] == "https://app.example"
    assert headers_of(fast)["cache-control"] == "no-store"
    assert headers_of(fast)["x-request-id"] == content["meta"]["requestId"] == "my-poll"
    assert content["meta"].keys() == same["meta"].keys()
    assert content["meta"]["durationMs"] > 900
    for one in (content, same):
        del one["meta"]
    assert content == same

    with all_that_may_wait(server, bob, headers={"X-Request-ID": "left"}):
        pass
    until(lambda: [one["status"] for one in lines(server, "left")].count(499) == POLLS_PER_USER)
    assert [one["status"] for one in lines(server, "refused")] == [404]
    at_once, later = lines(server, "my-poll")
    assert (later["status"], later["user_id"]) == (200, bob.id)
    assert later["ms"] > 900
    assert at_once.keys() == later.keys()
    assert at_once["route"] == later["route"]


def lines(server: ServerProcess, request_id: str) -> list[dict[str, Any]]:
    """Return the lines of the log about a request."""
    written = server.log.read_text().splitlines()
    found = [json.loads(line) for line in written if line.startswith("{")]
    return [line for line in found if line.get("request_id") == request_id]


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Host": "evil.example"}, {}, 400),
        ({"Authorization": "Bearer nonsense"}, {}, 401),
        ({"Authorization": "Basic YTpi"}, {}, 401),
        ({"Accept": "text/html"}, {}, 406),
        ({}, {"stream": "user.of-another"}, 404),
        ({}, {"wait": 26}, 422),
        ({}, {"after": "x"}, 422),
    ],
)
def test_what_is_wrong_with_a_poll_is_refused_at_once(
    server: ServerProcess,
    bob: Person,
    headers: dict[str, str],
    query: dict[str, Any],
    status: int,
) -> None:
    began = time.monotonic()
    with WaitingPoll(server, bob, headers, **query) as poll:
        assert poll.refusal()[0] == status
    assert time.monotonic() - began < 10


def test_polls_count_for_the_limit_of_their_network(start_server: Start, bob: Person) -> None:
    server = start_server(RATE_LIMIT_REQUESTS_PER_SECOND="1", RATE_LIMIT_BURST="3", REDIS_URL="")
    log_messages(bob.user.pk, 1)
    with ExitStack() as opened:
        polls = [opened.enter_context(WaitingPoll(server, bob)) for _ in range(8)]
        responses = [poll.answer()[0] for poll in polls]
    refused = [one for one in responses if one.status == 429]
    assert {one.status for one in responses} == {200, 429}
    assert {one.getheader("RateLimit-Limit") for one in refused} == {"3"}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="This system tells no threads.")
def test_a_thousand_polls_take_no_thread_and_end_together(start_server: Start) -> None:
    server = start_server(SERVER_CONNECTIONS_PER_ADDRESS="0", RATE_LIMIT_BURST="10000")
    readers = [person(f"Reader {number}") for number in range(100)]

    def threads() -> int:
        return len(list(Path(f"/proc/{server.pid}/task").iterdir()))

    with ExitStack() as opened:
        # The first of them bring up what a process needs once.
        of_first = opened.enter_context(all_that_may_wait(server, readers[0], stream="feed"))
        before = threads()
        polls = [
            opened.enter_context(WaitingPoll(server, reader, stream="feed"))
            for reader in readers[1:-1]
            for _ in range(POLLS_PER_USER)
        ]
        of_last = opened.enter_context(all_that_may_wait(server, readers[-1], stream="feed"))
        assert threads() <= before
        log_posts(1)
        assert {tuple(seqs(poll.data())) for poll in of_first + polls + of_last} == {(1,)}
        assert threads() <= before
