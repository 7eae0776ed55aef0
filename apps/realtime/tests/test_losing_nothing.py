"""No event is lost: not by a slow reader, not when Redis dies, and not without Redis."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings

from apps.accounts.tests.people import Person
from apps.realtime.tests.factories import log_messages
from testing.server import ServerProcess, until
from testing.servers import PrivateRedis
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def send(server: ServerProcess, sender: Person, receiver: Person, content: str) -> None:
    answer = server.call(
        "POST",
        "/api/v1/messages",
        json={"receiverId": receiver.id, "content": content},
        headers={"Authorization": f"Bearer {sender.access}"},
    )
    assert answer.status_code == 201, answer.text


def contents(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["data"]["message"]["content"] for frame in frames]


@pytest.fixture
def redis() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


def test_two_processes_without_redis_deliver_each_others_events(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    one = start_server(PARLEY_TAMPER="hurried", REDIS_URL="")
    other = start_server(PARLEY_TAMPER="hurried", REDIS_URL="")
    with TestSocket(other.url, token=bob.access) as bob_socket:
        bob_socket.expect("connected")
        for number in range(5):
            send(one, alice, bob, str(number))
        frames = [bob_socket.expect("chat_message") for _ in range(5)]
        assert contents(frames) == list("01234")
        assert [frame["seq"] for frame in frames] == [1, 2, 3, 4, 5]


def test_a_process_that_does_not_compare_heads_misses_them(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    one = start_server(REDIS_URL="")
    other = start_server(PARLEY_TAMPER="hurried,never-heals", REDIS_URL="")
    with TestSocket(other.url, token=bob.access) as bob_socket:
        bob_socket.expect("connected")
        send(one, alice, bob, "Hello")
        for _ in range(3):
            bob_socket.expect("heartbeat")
        assert [f for f in bob_socket.settle() if f["type"] == "chat_message"] == []


def when_redis_dies(
    start_server: Callable[..., ServerProcess],
    redis: PrivateRedis,
    alice: Person,
    bob: Person,
    tamper: str,
    *,
    seconds: float = 20,
) -> list[dict[str, Any]]:
    """Send messages before, while and after Redis is dead, with sender and receiver on two
    processes, and return the messages that the receiver got after it died."""
    one = start_server(PARLEY_TAMPER="hurried", REDIS_URL=redis.url)
    other = start_server(PARLEY_TAMPER=tamper, REDIS_URL=redis.url)
    with TestSocket(other.url, token=bob.access) as bob_socket:
        bob_socket.expect("connected")
        send(one, alice, bob, "before")
        bob_socket.expect("chat_message")
        redis.stop()
        for number in range(10):
            send(one, alice, bob, f"during {number}")
        redis.start()

        def delivered_live() -> bool:
            send(one, alice, bob, "after")
            messages = [one for one in bob_socket.settle_into() if one["type"] == "chat_message"]
            return "after" in contents(messages)

        until(delivered_live, seconds=seconds)
        bob_socket.settle_into()
        return [frame for frame in bob_socket.waiting if frame["type"] == "chat_message"]


def test_every_message_arrives_once_and_in_order_when_redis_dies(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person, bob: Person
) -> None:
    """What the channel layer loses while Redis is dead, the process reads from the log."""
    frames = when_redis_dies(start_server, redis, alice, bob, "hurried")
    assert contents(frames)[:10] == [f"during {number}" for number in range(10)]
    assert set(contents(frames)[10:]) == {"after"}
    assert [frame["seq"] for frame in frames] == list(range(2, len(frames) + 2))


def test_a_process_that_does_not_read_the_log_loses_messages(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    with pytest.raises(AssertionError, match="within"):
        when_redis_dies(start_server, redis, alice, bob, "hurried,never-reads", seconds=6)


@pytest.mark.parametrize("writers", [6])
def test_messages_of_many_writers_on_two_processes_arrive_without_a_hole(
    start_once: Callable[..., ServerProcess], alice: Person, bob: Person, writers: int
) -> None:
    servers = [start_once(number, PARLEY_TAMPER="hurried") for number in range(2)]
    sockets = [TestSocket(servers[n % 2].url, token=bob.access, max_queue=None) for n in range(4)]
    for socket in sockets:
        socket.expect("connected")
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(lambda n: send(servers[n % 2], alice, bob, str(n)), range(60)))
    for socket in sockets:
        got = [socket.expect("chat_message")["seq"] for _ in range(60)]
        assert got == list(range(1, 61))
        socket.close()


def test_a_reader_that_stalls_is_disconnected_and_loses_nothing(
    start_once: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    """The frames that wait for a client that does not read must not fill the memory."""
    server = start_once(PARLEY_TAMPER="hurried")
    # It would wait ten seconds for the close of a server that is gone.
    stalled = TestSocket(server.url, token=bob.access, max_queue=1, close_timeout=0.1)
    until(lambda: server.open_sockets() == 1)
    stream = f"user.{bob.id}"
    log_messages(bob.user.pk, 600, content="x" * 50_000)
    until(lambda: server.open_sockets() == 0, seconds=30)
    with TestSocket(server.url, token=bob.access, max_queue=None) as again:
        again.send("subscribe", {"stream": stream, "after": 0})
        assert [again.expect("chat_message")["seq"] for _ in range(600)] == list(range(1, 601))
    stalled.close()


def test_a_reader_that_was_too_slow_is_told_so_when_it_reads(
    start_once: Callable[..., ServerProcess], bob: Person
) -> None:
    """Another socket of Bob reads all events, and so shows when the server has sent them."""
    server = start_once(PARLEY_TAMPER="hurried")
    with (
        TestSocket(server.url, token=bob.access, max_queue=1) as slow,
        TestSocket(server.url, token=bob.access, max_queue=None) as reader,
    ):
        until(lambda: server.open_sockets() == 2)
        reader.expect("connected")
        # More is sent once this test has read, since it shares its cores with the server.
        for _ in range(10):
            log_messages(bob.user.pk, 20, content="x" * 50_000)
            for _ in range(20):
                reader.expect("chat_message")
        assert slow.closed_with() == 4408
        assert reader.ask("ping")["type"] == "pong"


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_a_logout_on_one_process_closes_the_socket_on_another(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    one, other = start_server(), start_server()
    with TestSocket(other.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        headers = {"Authorization": f"Bearer {alice.access}"}
        one.call("POST", "/api/v1/auth/logout", headers=headers)
        assert alice_socket.closed_with() == 4501
