"""Subscribing after a number (contract 7.3)."""

from collections.abc import Callable

import pytest

from apps.accounts.tests.people import Person
from apps.core.ids import uuid7
from apps.posts import services as posts
from apps.realtime.models import LoggedEvent, Stream
from apps.realtime.open_socket import STREAMS_PER_SOCKET
from apps.realtime.socket_frames import Heartbeat
from apps.realtime.streams import USER
from apps.realtime.tests.factories import log_messages, log_posts
from apps.realtime.transport import FRAME_BYTES
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def seqs(frames: list[dict[str, object]]) -> list[object]:
    return [frame["seq"] for frame in frames if "seq" in frame]


def test_what_was_missed_comes_in_order_after_the_answer(
    server: ServerProcess, alice: Person
) -> None:
    log_messages(alice.user.pk, 1200)
    with TestSocket(server.url, token=alice.access, max_queue=None) as socket:
        answer = socket.ask("subscribe", {"stream": f"user.{alice.id}", "after": 3})
        assert answer["type"] == "subscribed"
        assert answer["data"]["head"] == 1200
        assert answer["data"]["recovered"] is True
        assert seqs(socket.settle()) == list(range(4, 1201))


def test_one_who_missed_nothing_gets_nothing(server: ServerProcess, alice: Person) -> None:
    log_messages(alice.user.pk, 5)
    with TestSocket(server.url, token=alice.access) as socket:
        answer = socket.ask("subscribe", {"stream": f"user.{alice.id}", "after": 5})
        assert answer["data"]["recovered"] is True
        assert seqs(socket.settle()) == []


def test_a_log_that_does_not_go_back_that_far_says_reset(
    server: ServerProcess, alice: Person
) -> None:
    stream = f"user.{alice.id}"
    log_messages(alice.user.pk, 9)
    LoggedEvent.objects.filter(stream=stream, seq__lte=4).delete()
    with TestSocket(server.url, token=alice.access) as socket:
        answer = socket.ask("subscribe", {"stream": stream, "after": 3})
        assert (answer["type"], answer["data"]["head"]) == ("reset", 9)
        answer = socket.ask("subscribe", {"stream": stream, "after": 4})
        assert answer["type"] == "subscribed"


def test_a_number_from_another_life_of_the_log_says_reset(
    server: ServerProcess, alice: Person
) -> None:
    stream = f"user.{alice.id}"
    log_messages(alice.user.pk, 2)
    epoch = Stream.objects.get(name=stream).epoch
    with TestSocket(server.url, token=alice.access) as socket:
        assert socket.ask("subscribe", {"stream": stream, "after": 7})["type"] == "reset"
        known = {"stream": stream, "after": 2, "epoch": epoch}
        assert socket.ask("subscribe", known)["type"] == "subscribed"
        other = {"stream": stream, "after": 2, "epoch": "another"}
        assert socket.ask("subscribe", other)["type"] == "reset"


@pytest.mark.parametrize(
    "stream", ["user.{bob}", "feed.x", "feed.", "document.1", "", "nonsense", "user."]
)
def test_streams_of_others_and_unknown_ones_are_not_there(
    server: ServerProcess, alice: Person, bob: Person, stream: str
) -> None:
    with TestSocket(server.url, token=alice.access) as socket:
        wish = {"stream": stream.format(bob=bob.id), "after": 0}
        error = socket.ask("subscribe", wish, wrong=stream == "")
        assert error["data"]["code"] in {"NOT_FOUND", "VALIDATION_ERROR"}
        log_messages(bob.user.pk, 1)
        assert seqs(socket.settle()) == []


def test_a_published_post_is_told_on_the_feed_until_one_unsubscribes(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    with TestSocket(server.url, token=bob.access) as socket:
        socket.ask("subscribe", {"stream": "feed"})
        headers = {"Authorization": f"Bearer {alice.access}"}
        draft = {"title": "A first post", "content": "Long enough to be one"}
        server.call("POST", "/api/v1/posts", json=draft, headers=headers)
        server.call("POST", "/api/v1/posts", json={**draft, "status": "published"}, headers=headers)
        frame = socket.expect("post_published")
        assert frame["seq"] == 1
        assert frame["data"]["post"]["author"]["name"] == "Alice"

        assert socket.ask("unsubscribe", {"stream": "feed"})["data"] == {"stream": "feed"}
        posts.post_create(alice.user, **draft, status="published")
        assert seqs(socket.settle()) == []


def test_a_socket_is_subscribed_to_so_many_streams_and_no_more(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """In this server to one, which is its own."""
    server = start_server(PARLEY_TAMPER="few-streams")
    own = {"stream": USER.name(alice.user.pk)}
    with TestSocket(server.url, token=alice.access) as socket:
        refused = socket.ask("subscribe", {"stream": "feed", "after": 0})
        assert (refused["type"], refused["data"]["code"]) == ("error", "TOO_MANY_STREAMS")
        log_posts(1)
        assert seqs(socket.settle()) == []
        assert socket.ask("subscribe", own)["type"] == "subscribed"
        socket.ask("unsubscribe", own)
        assert socket.ask("subscribe", {"stream": "feed"})["type"] == "subscribed"
        assert socket.ask("subscribe", own)["data"]["code"] == "TOO_MANY_STREAMS"


def test_a_socket_may_have_a_thousand_streams() -> None:
    heads = {USER.name(uuid7()): 2**40 for _ in range(STREAMS_PER_SOCKET)}
    assert STREAMS_PER_SOCKET == 1000
    assert len(Heartbeat(streams=heads).render()) < FRAME_BYTES


def test_numbers_have_no_holes_while_one_catches_up(server: ServerProcess, alice: Person) -> None:
    stream = f"user.{alice.id}"
    log_messages(alice.user.pk, 600)
    with TestSocket(server.url, token=alice.access, max_queue=None) as socket:
        socket.send("subscribe", {"stream": stream, "after": 0})
        log_messages(alice.user.pk, 600)
        got: list[object] = []
        while len(got) < 1200:
            got.append(socket.expect("chat_message")["seq"])
        assert got == list(range(1, 1201))
