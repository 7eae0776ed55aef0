"""Nothing is lost: not with a slow reader, not over a dead Redis, not without any Redis at all."""

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


def test_two_processes_without_redis_still_tell_each_other(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    one = start_server(PARLEY_TAMPER="hurried", REDIS_URL="")
    other = start_server(PARLEY_TAMPER="hurried", REDIS_URL="")
    with TestSocket(other.url, token=bob.access) as his:
        his.expect("connected")
        for number in range(5):
            send(one, alice, bob, str(number))
        frames = [his.expect("chat_message") for _ in range(5)]
        assert contents(frames) == list("01234")
        assert [frame["seq"] for frame in frames] == [1, 2, 3, 4, 5]


def test_without_its_healing_a_process_would_not_notice(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    one = start_server(REDIS_URL="")
    other = start_server(PARLEY_TAMPER="hurried,never-heals", REDIS_URL="")
    with TestSocket(other.url, token=bob.access) as his:
        his.expect("connected")
        send(one, alice, bob, "Hello")
        for _ in range(3):
            his.expect("heartbeat")
        assert [f for f in his.settle() if f["type"] == "chat_message"] == []


def over_a_dead_redis(
    start_server: Callable[..., ServerProcess],
    redis: PrivateRedis,
    alice: Person,
    bob: Person,
    tamper: str,
) -> list[dict[str, Any]]:
    """Send before, while and after Redis is dead, sender and receiver on two processes, and return
    what the receiver has of it in the end."""
    one = start_server(PARLEY_TAMPER="hurried", REDIS_URL=redis.url)
    other = start_server(PARLEY_TAMPER=tamper, REDIS_URL=redis.url)
    with TestSocket(other.url, token=bob.access) as his:
        his.expect("connected")
        send(one, alice, bob, "before")
        his.expect("chat_message")
        redis.stop()
        for number in range(10):
            send(one, alice, bob, f"during {number}")
        redis.start()

        def heard_live() -> bool:
            send(one, alice, bob, "after")
            told = [one for one in his.settle_into() if one["type"] == "chat_message"]
            return "after" in contents(told)

        until(heard_live, seconds=20)
        his.settle_into()
        return [frame for frame in his.waiting if frame["type"] == "chat_message"]


def test_over_a_dead_redis_every_message_arrives_once_and_in_order(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person, bob: Person
) -> None:
    """Original defect 35, and what the issue of the front door asks for."""
    frames = over_a_dead_redis(start_server, redis, alice, bob, "hurried")
    assert contents(frames)[:10] == [f"during {number}" for number in range(10)]
    assert set(contents(frames)[10:]) == {"after"}
    assert [frame["seq"] for frame in frames] == list(range(2, len(frames) + 2))


def test_a_process_that_does_not_read_the_log_would_lose_them(
    start_server: Callable[..., ServerProcess], redis: PrivateRedis, alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    with pytest.raises(AssertionError, match="within"):
        over_a_dead_redis(start_server, redis, alice, bob, "hurried,never-reads")


@pytest.mark.parametrize("writers", [6])
def test_many_writers_on_two_processes_reach_every_socket_without_a_hole(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person, writers: int
) -> None:
    servers = [start_server(PARLEY_TAMPER="hurried") for _ in range(2)]
    sockets = [TestSocket(servers[n % 2].url, token=bob.access, max_queue=None) for n in range(4)]
    for socket in sockets:
        socket.expect("connected")
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(lambda n: send(servers[n % 2], alice, bob, str(n)), range(60)))
    for socket in sockets:
        got = [socket.expect("chat_message")["seq"] for _ in range(60)]
        assert got == list(range(1, 61))
        socket.close()


def test_a_reader_that_stalls_is_cut_off_and_loses_nothing(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    """Original defect 30."""
    server = start_server(PARLEY_TAMPER="hurried")
    stalled = TestSocket(server.url, token=bob.access, max_queue=1)
    until(lambda: server.open_sockets() == 1)
    stream = f"user.{bob.id}"
    log_messages(bob.user.pk, 600, content="x" * 50_000)
    until(lambda: server.open_sockets() == 0, seconds=30)
    with TestSocket(server.url, token=bob.access, max_queue=None) as again:
        again.send("subscribe", {"stream": stream, "after": 0})
        assert [again.expect("chat_message")["seq"] for _ in range(600)] == list(range(1, 601))
    stalled.close()


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_a_logout_on_one_process_closes_the_socket_on_another(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    one, other = start_server(), start_server()
    with TestSocket(other.url, token=alice.access) as hers:
        hers.expect("connected")
        headers = {"Authorization": f"Bearer {alice.access}"}
        one.call("POST", "/api/v1/auth/logout", headers=headers)
        assert hers.closed_with() == 4501
