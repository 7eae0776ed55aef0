"""A process receives what happens on the streams of its own sockets, and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.conf import settings
from redis import Redis

from apps.accounts.tests.people import Person
from apps.chat.events import CONVERSATION
from apps.chat.groups import member_remove, members_add
from apps.chat.tests.factories import group_of, new_group_message, new_message
from apps.realtime.broker import channel_of
from apps.realtime.tests.test_losing_nothing import send
from testing.frames import Frame
from testing.server import ServerProcess, until
from testing.socket import TestSocket

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run."),
]

Start = Callable[..., ServerProcess]
# Seconds, several times as long as it takes. A test of a faulty build waits for all of them.
PATIENCE = 4

# What reaches the sockets of these processes came by Redis.
BY_REDIS = "never-heals,never-sweeps,never-sweeps-access,without-notices,brief-linger"
LISTENS = {"PARLEY_TAMPER": BY_REDIS}
DOES_NOT_LISTEN = {"PARLEY_TAMPER": f"{BY_REDIS},never-listens"}


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis.from_url(settings.REDIS_URL) as client:
        yield client


def receivers(redis: Redis, stream: str) -> int:
    """Return how many processes receive what happens on a stream."""
    return int(redis.pubsub_numsub(channel_of(stream))[0][1])


def receiving_processes(
    start_once: Start,
    redis: Redis,
    alice: Person,
    bob: Person,
    carol: Person,
    build: dict[str, str],
) -> list[int]:
    """Return how many of two processes receive the streams of Alice, who has a socket on both, of
    Bob and of a group of Bob's, who has one socket, and of Carol, who has none."""
    one, other = (start_once(number, **build) for number in range(2))
    group = CONVERSATION.name(group_of(bob.user, carol.user).pk)
    streams = f"user.{alice.id}", f"user.{bob.id}", group, f"user.{carol.id}"
    with (
        TestSocket(one.url, token=alice.access) as first,
        TestSocket(other.url, token=alice.access) as second,
        TestSocket(other.url, token=bob.access) as third,
    ):
        for socket in (first, second, third):
            socket.expect("connected")
        found = [receivers(redis, stream) for stream in streams]
        third.ask("unsubscribe", {"stream": group})
        until(lambda: receivers(redis, group) == 0)
    until(lambda: sum(receivers(redis, stream) for stream in streams) == 0)
    return found


def test_a_process_receives_the_streams_of_its_own_sockets_for_as_long_as_they_are_open(
    start_once: Start, redis: Redis, alice: Person, bob: Person, carol: Person
) -> None:
    assert receiving_processes(start_once, redis, alice, bob, carol, LISTENS) == [2, 1, 1, 0]


def test_build_that_does_not_listen_receives_no_stream(
    start_once: Start, redis: Redis, alice: Person, bob: Person, carol: Person
) -> None:
    """The test above detects it."""
    found = receiving_processes(start_once, redis, alice, bob, carol, DOES_NOT_LISTEN)
    assert found == [0, 0, 0, 0]


def numbers_on_two_processes(
    start_once: Start, alice: Person, bob: Person, build: dict[str, str]
) -> list[list[int]]:
    """Send Bob, who is connected to two processes, three messages from each of them; return the
    numbers that each of Bob's sockets received."""
    servers = [start_once(number, **build) for number in range(2)]
    with ExitStack() as opened:
        sockets = [
            opened.enter_context(TestSocket(server.url, token=bob.access)) for server in servers
        ]
        for socket in sockets:
            socket.expect("connected")
        for number in range(6):
            send(servers[number % 2], alice, bob, str(number))
        numbers = [
            [socket.expect("chat_message", seconds=PATIENCE)["seq"] for _ in range(6)]
            for socket in sockets
        ]
        left = [frame["type"] for socket in sockets for frame in socket.settle()]
        assert "chat_message" not in left
        return numbers


def test_a_user_on_two_processes_receives_each_message_once_on_both(
    start_once: Start, alice: Person, bob: Person
) -> None:
    numbers = numbers_on_two_processes(start_once, alice, bob, LISTENS)
    assert numbers == [[1, 2, 3, 4, 5, 6]] * 2


def test_build_that_does_not_listen_receives_nothing_from_the_other_process(
    start_once: Start, alice: Person, bob: Person
) -> None:
    """The test above detects it."""
    with pytest.raises(AssertionError, match="No chat_message"):
        numbers_on_two_processes(start_once, alice, bob, DOES_NOT_LISTEN)


def joining_and_leaving(
    start_once: Start, alice: Person, bob: Person, build: dict[str, str]
) -> list[Frame]:
    """Add Bob, who is connected to another process, to a group, remove them again, and send a
    message to the group and one to Bob; return what Bob's socket received after the removal."""
    server = start_once(**build)
    group = group_of(alice.user)
    with TestSocket(server.url, token=bob.access) as bob_socket:
        bob_socket.expect("connected")
        members_add(alice.user, conversation_id=group.pk, user_ids=[bob.user.pk])
        bob_socket.expect("subscribed", seconds=PATIENCE)
        new_group_message(group, alice.user, "To both")
        bob_socket.expect("chat_message", seconds=PATIENCE)
        member_remove(alice.user, conversation_id=group.pk, user_id=bob.user.pk)
        bob_socket.expect("unsubscribed", seconds=PATIENCE)
        bob_socket.settle()
        new_group_message(group, alice.user, "Without Bob")
        new_message(alice, bob, "To Bob")
        message = bob_socket.expect("chat_message", seconds=PATIENCE)
        return [message, *bob_socket.settle()]


def test_a_group_is_received_from_joining_it_until_leaving_it(
    start_once: Start, alice: Person, bob: Person
) -> None:
    frames = joining_and_leaving(start_once, alice, bob, LISTENS)
    assert "To Bob" in str(frames)
    assert "Without Bob" not in str(frames)


def test_build_that_does_not_listen_does_not_learn_of_the_group(
    start_once: Start, alice: Person, bob: Person
) -> None:
    """The test above detects it."""
    with pytest.raises(AssertionError, match="No subscribed"):
        joining_and_leaving(start_once, alice, bob, DOES_NOT_LISTEN)
