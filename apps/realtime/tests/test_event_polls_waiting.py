"""Requests that wait for events: they end with the first one, and when they may not wait longer."""

import re
import signal
import time
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path

import pytest

from apps.accounts.tests.people import Person, person
from apps.chat.groups import member_remove
from apps.chat.tests.factories import group_of, new_group_message
from apps.realtime.errors import POLLS_PER_USER
from apps.realtime.models import Stream
from apps.realtime.tests.factories import log_messages, log_posts
from apps.realtime.tests.test_losing_nothing import send
from apps.realtime.tests.waiting_polls import WaitingPoll, all_that_may_wait, one_more, seqs
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
    server: ServerProcess, bob: Person, query: dict[str, object]
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
    server = start_server()
    log_messages(bob.user.pk, 2)
    with all_that_may_wait(server, bob, after=2) as polls:
        began = time.monotonic()
        server.send(signal.SIGTERM)
        for poll in polls:
            response, body = poll.answer()
            assert (response.status, body["data"]["events"]) == (200, [])
            assert response.getheader("Connection") == "close"
        assert time.monotonic() - began < 3
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
        assert one_more(server, alice) == 200
        # A client that leaves makes room.
        polls[0].connection.close()
        until(lambda: one_more(server, bob) == 200)


def headers_of(response: HTTPResponse) -> dict[str, str]:
    """Return the headers of a response that do not depend on its time."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    return {name: headers[name] for name in headers.keys() - {"date", "content-length"}}


def test_a_poll_has_the_headers_that_its_view_adds(start_server: Start, bob: Person) -> None:
    server = start_server(CORS_ALLOWED_ORIGINS="https://app.example")
    headers = {"Origin": "https://app.example", "X-Request-ID": "my-poll"}
    with (
        WaitingPoll(server, bob, headers, wait=1) as waits,
        WaitingPoll(server, bob, headers, wait=0) as by_view,
    ):
        (fast, content), (slow, same) = waits.answer(), by_view.answer()
    assert headers_of(fast) == headers_of(slow)
    assert headers_of(fast)["access-control-allow-origin"] == "https://app.example"
    assert headers_of(fast)["cache-control"] == "no-store"
    assert headers_of(fast)["x-request-id"] == content["meta"]["requestId"] == "my-poll"
    assert content["meta"].keys() == same["meta"].keys()
    assert content["meta"]["durationMs"] > 900
    for one in (content, same):
        del one["meta"]
    assert content == same


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
    query: dict[str, object],
    status: int,
) -> None:
    began = time.monotonic()
    with WaitingPoll(server, bob, headers, **query) as poll:
        assert poll.refusal()[0] == status
    assert time.monotonic() - began < 10


def test_polls_count_for_the_limit_of_their_network(start_server: Start, bob: Person) -> None:
    server = start_server(RATE_LIMIT_REQUESTS_PER_SECOND="1", RATE_LIMIT_BURST="3", REDIS_URL="")
    log_messages(bob.user.pk, 1)
    answers = []
    for _ in range(12):
        with WaitingPoll(server, bob) as poll:
            answers.append(poll.answer())
    assert {response.status for response, _ in answers} == {200, 429}
    refused = next(response for response, _ in answers if response.status == 429)
    assert refused.getheader("RateLimit-Limit") == "3"


def test_each_poll_has_one_line_in_the_log(start_server: Start, bob: Person) -> None:
    server = start_server(LOG_FORMAT="json")
    with WaitingPoll(server, bob, {"X-Request-ID": "in-time"}, wait=1) as poll:
        poll.data()
    with WaitingPoll(server, bob, {"X-Request-ID": "refused"}, stream="nonsense") as poll:
        poll.refusal()
    with all_that_may_wait(server, bob, headers={"X-Request-ID": "abandoned"}):
        pass

    def statuses(request_id: str) -> list[str]:
        lines = [line for line in server.log.read_text().splitlines() if request_id in line]
        assert all(bob.id in line and "/api/v1/events" in line for line in lines)
        return [found[1] for line in lines if (found := re.search(r'"status": ?(\d+)', line))]

    until(lambda: len(statuses("abandoned")) == POLLS_PER_USER)
    assert set(statuses("abandoned")) == {"499"}
    assert (statuses("in-time"), statuses("refused")) == (["200"], ["404"])
    in_time = next(line for line in server.log.read_text().splitlines() if "in-time" in line)
    assert float(re.search(r'"ms": ?([\d.]+)', in_time)[1]) > 900  # type: ignore[index]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="This system tells no threads.")
def test_a_thousand_polls_take_no_thread_and_end_together(start_server: Start) -> None:
    server = start_server(SERVER_CONNECTIONS_PER_ADDRESS="0", RATE_LIMIT_BURST="10000")
    readers = [person(f"Reader {number}") for number in range(100)]

    def threads() -> int:
        return len(list(Path(f"/proc/{server.pid}/task").iterdir()))

    opened: list[WaitingPoll] = []
    try:
        for number, reader in enumerate(readers):
            opened += [WaitingPoll(server, reader, stream="feed") for _ in range(POLLS_PER_USER)]
            if number == 20:
                until(lambda: one_more(server, readers[20]) == 429)
                before = threads()
        until(lambda: one_more(server, readers[-1]) == 429)
        assert threads() <= before
        log_posts(1)
        assert all(seqs(poll.data()) == [1] for poll in opened)
        assert threads() <= before
    finally:
        for poll in opened:
            poll.connection.close()
