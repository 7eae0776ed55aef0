"""Subscriptions that resume after a number, and the streams that a user may subscribe to."""

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


def test_missed_events_follow_the_answer_in_order(server: ServerProcess, alice: Person) -> None:
    log_messages(alice.user.pk, 1200)
    with TestSocket(server.url, token=alice.access, max_queue=None) as socket:
        answer = socket.ask("subscribe", {"stream": f"user.{alice.id}", "after": 3})
        assert answer["type"] == "subscribed"
        assert answer["data"]["head"] == 1200
        assert answer["data"]["recovered"] is True
        assert seqs(socket.settle()) == list(range(4, 1201))


def test_a_client_that_missed_nothing_receives_nothing(
    server: ServerProcess, alice: Person
) -> None:
    log_messages(alice.user.pk, 5)
    with TestSocket(server.url, token=alice.access) as socket:
        answer = socket.ask("subscribe", {"stream": f"user.{alice.id}", "after": 5})
        assert answer["data"]["recovered"] is True
        assert seqs(socket.settle()) == []


def test_a_number_before_the_log_is_answered_with_reset(
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


def test_a_number_of_another_epoch_is_answered_with_reset(
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
def test_streams_of_other_users_and_unknown_streams_are_not_found(
    server: ServerProcess, alice: Person, bob: Person, stream: str
) -> None:
    with TestSocket(server.url, token=alice.access) as socket:
        data = {"stream": stream.format(bob=bob.id), "after": 0}
        error = socket.ask("subscribe", data, wrong=stream == "")
        assert error["data"]["code"] in {"NOT_FOUND", "VALIDATION_ERROR"}
        log_messages(bob.user.pk, 1)
        assert seqs(socket.settle()) == []


def test_the_feed_delivers_published_posts_until_a_client_unsubscribes(
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


def test_a_socket_has_a_limit_of_streams(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """In this server the limit is one, which the stream of its user reaches."""
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


def test_a_heartbeat_with_a_thousand_streams_fits_into_a_frame() -> None:
    heads = {USER.name(uuid7()): 2**40 for _ in range(STREAMS_PER_SOCKET)}
    assert STREAMS_PER_SOCKET == 1000
    assert len(Heartbeat(streams=heads).render()) < FRAME_BYTES


def test_numbers_have_no_hole_while_a_socket_catches_up(
    server: ServerProcess, alice: Person
) -> None:
    stream = f"user.{alice.id}"
    log_messages(alice.user.pk, 600)
    with TestSocket(server.url, token=alice.access, max_queue=None) as socket:
        socket.send("subscribe", {"stream": stream, "after": 0})
        log_messages(alice.user.pk, 600)
        got: list[object] = []
        while len(got) < 1200:
            got.append(socket.expect("chat_message")["seq"])
        assert got == list(range(1, 1201))
