"""The primaries of a Redis Cluster share the wake-ups of streams."""

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from redis import Redis

from apps.accounts.tests.people import Person
from apps.realtime.broker import channel_of
from apps.realtime.tests.test_losing_nothing import send
from apps.realtime.tests.test_wake_ups import BY_REDIS, receivers
from testing.binaries import ServerUnavailable
from testing.server import ServerProcess, until
from testing.servers import PrivateClusterNode, private_redis_cluster
from testing.socket import TestSocket

SLOTS = 16_384

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run."),
]


@pytest.fixture
def cluster() -> Iterator[list[PrivateClusterNode]]:
    try:
        with private_redis_cluster() as nodes:
            yield nodes
    except ServerUnavailable as reason:
        pytest.skip(str(reason))


def test_wake_ups_of_streams_go_over_the_cluster(
    start_server: Callable[..., ServerProcess],
    cluster: list[PrivateClusterNode],
    alice: Person,
    bob: Person,
    carol: Person,
) -> None:
    tamper = {"PARLEY_TAMPER": f"{BY_REDIS},fast-relay", "REDIS_CLUSTER_URL": cluster[0].url}
    one, other = start_server(**tamper), start_server(**tamper)
    with (
        TestSocket(other.url, token=bob.access) as bob_socket,
        TestSocket(other.url, token=carol.access) as carol_socket,
    ):
        for socket in (bob_socket, carol_socket):
            socket.expect("connected")
        of_bob = channel_of(f"user.{bob.id}")
        with Redis(port=cluster[0].port) as first, Redis(port=cluster[1].port) as second:
            owner = first if first.cluster("KEYSLOT", of_bob) < SLOTS // 2 else second
            assert owner.pubsub_shardnumsub(of_bob)[0][1] == 1
        with Redis.from_url(settings.REDIS_URL) as client:
            assert receivers(client, f"user.{bob.id}") == 0
        for person, socket in ((bob, bob_socket), (carol, carol_socket)):
            for number in (1, 2):
                send(one, alice, person, str(number))
                assert socket.expect("chat_message", seconds=4)["seq"] == number
        # A node that comes back without a word of what was subscribed on it.
        cluster[1].freeze()
        until(lambda: "LinkSilent" in other.log.read_text(), seconds=8)
        cluster[1].thaw()

        def delivered_live() -> bool:
            for person in (bob, carol):
                send(one, alice, person, "again")
            return all(
                "chat_message" in {frame["type"] for frame in socket.settle()}
                for socket in (bob_socket, carol_socket)
            )

        until(delivered_live, seconds=8)
