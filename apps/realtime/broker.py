"""The Redis servers that carry wake-ups from process to process, on channels.

With REDIS_CLUSTER_URL the primaries of that cluster share the channels of streams (sharded pub/sub,
https://redis.io/docs/latest/develop/pubsub/#sharded-pubsub), so that no server carries all of them.
The other channels stay on the Redis of REDIS_URL, which knows by them which processes are alive.
"""

import math
from collections.abc import Sequence
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from apps.core.redis import key
from apps.realtime.sockets import PROCESS

# What every process hears.
EVERYONE = key("hubs")
# What only this process hears. Redis knows by it that the process is alive.
PROCESSES = key("hub:")
OWN = PROCESSES + PROCESS
STREAMS = key("stream:")
# Redis takes each command at once, so that no other client of it waits long.
CHANNELS_AT_ONCE = 500

# As one command: redis-py takes several times as long for a command of its own for each message.
PUBLISH = """
    for i, channel in ipairs(KEYS) do
        redis.call('PUBLISH', channel, ARGV[i])
    end
"""

Message = tuple[str, bytes]


def channel_of(stream: str) -> str:
    """Return the channel on which the frames of a stream are published."""
    return STREAMS + stream


class Link:
    """A connection that receives what is published on some channels of one server. What is
    published on `probe` comes back by this link and by no other.

    It has no use for redis-py's PubSub, which connects again by itself: then nobody knew that
    something may be lost, nor waited until all channels are received again.
    """

    def __init__(self, url: str, probe: str, *, sharded: bool = False) -> None:
        self.probe = probe
        self.received_at = 0.0
        pool = _pool(url)
        self._connection = pool.connection_class(**pool.connection_kwargs)
        # In a cluster one command names channels of one slot only.
        self._channels_at_once = 1 if sharded else CHANNELS_AT_ONCE
        self._prefix = "S" if sharded else ""

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Ask to receive what is published on the channels; receive() says when that begins."""
        await self._send("SUBSCRIBE", channels)

    async def unsubscribe(self, channels: Sequence[str]) -> None:
        """Ask to receive no more of the channels."""
        await self._send("UNSUBSCRIBE", channels)

    async def receive(self) -> tuple[str, str, Any]:
        """Wait for what comes next: `message`, `subscribe` or `unsubscribe`, the channel, and what
        was published."""
        kind, channel, content = await self._connection.read_response(timeout=math.inf)
        return kind.decode().removeprefix(self._prefix.lower()), channel.decode(), content

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.disconnect(nowait=True)

    async def _send(self, command: str, channels: Sequence[str]) -> None:
        for start in range(0, len(channels), self._channels_at_once):
            some = channels[start : start + self._channels_at_once]
            await self._connection.send_command(self._prefix + command, *some)


class Broker:
    """Publishes wake-ups, and opens the links that receive them. Lives on one event loop."""

    def __init__(self) -> None:
        self._main = Redis.from_pool(_pool(settings.REDIS_WAKEUPS_URL))
        self._publish = self._main.register_script(PUBLISH)
        self._cluster = None
        if settings.REDIS_CLUSTER_URL:
            self._cluster = RedisCluster.from_url(
                settings.REDIS_CLUSTER_URL, **settings.REDIS_WAKEUPS_SOCKET
            )

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish the messages in their order; of those that a cluster takes, only those of one
        channel keep it."""
        unsharded = [message for message in messages if not self._is_sharded(message[0])]
        for start in range(0, len(unsharded), CHANNELS_AT_ONCE):
            channels, contents = zip(*unsharded[start : start + CHANNELS_AT_ONCE], strict=True)
            await self._publish(channels, contents)
        if self._cluster is not None:
            sharded = self._cluster.pipeline()
            for channel, content in messages:
                if self._is_sharded(channel):
                    sharded.execute_command("SPUBLISH", channel, content)
            await sharded.execute()

    async def open(self) -> dict[str, Link]:
        """Return a new link to each server, by the server's name."""
        links = {"": Link(settings.REDIS_WAKEUPS_URL, OWN)}
        if self._cluster is not None:
            # The cluster may have changed, which may be why links are opened.
            await self._cluster.aclose()
            await self._cluster.initialize()
            address = urlsplit(settings.REDIS_CLUSTER_URL)
            login = address.netloc.rpartition("@")[0]
            for node in self._cluster.get_primaries():
                netloc = f"{login}@{node.host}:{node.port}" if login else f"{node.host}:{node.port}"
                url = address._replace(netloc=netloc).geturl()
                probes = (channel_of(f"{PROCESS}.{number}") for number in count())
                probe = next(one for one in probes if self.server_of(one) == node.name)
                links[node.name] = Link(url, probe, sharded=True)
        return links

    def server_of(self, channel: str) -> str:
        """Return the name of the server that has the channel."""
        if self._cluster is not None and self._is_sharded(channel):
            node = self._cluster.get_node_from_key(channel)
            return node.name if node else ""
        return ""

    async def close(self) -> None:
        """Close what publishes."""
        await self._main.aclose()
        if self._cluster is not None:
            await self._cluster.aclose()

    def _is_sharded(self, channel: str) -> bool:
        return self._cluster is not None and channel.startswith(STREAMS)


def _pool(url: str) -> ConnectionPool:
    # The relay itself tries again, and lets the database tell the others meanwhile.
    once = Retry(NoBackoff(), retries=0)
    return ConnectionPool.from_url(url, retry=once, **settings.REDIS_WAKEUPS_SOCKET)
