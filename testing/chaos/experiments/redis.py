"""Faults of Redis, and of the connections to it."""

import asyncio
from functools import partial

import redis

from testing.chaos.cluster import until
from testing.chaos.repetition import Repetition

# How often a process tries whether Redis works (apps/realtime/relay.py).
PROBE_SECONDS = 2.0


async def killed(here: Repetition) -> None:
    """It is killed, and started again empty."""
    async with here.load(0.5):
        for _ in range(2 if here.long else 1):
            await asyncio.to_thread(here.cluster.crash_redis)
            await asyncio.sleep(here.rng.uniform(0.2, 2))
            await asyncio.to_thread(here.cluster.redis.start)
            await asyncio.sleep(here.rng.uniform(0.2, 1))


async def frozen(here: Repetition) -> None:
    """It does nothing for a while, and its connections stay open."""
    async with here.load(1.0):
        await asyncio.to_thread(here.cluster.redis.freeze)
        await asyncio.sleep(20 if here.long else 2)
        await asyncio.to_thread(here.cluster.redis.thaw)


async def wake_ups_lost(here: Repetition) -> None:
    """A process receives nothing from the others when something happens there: first because its
    connections for that are killed, with something more to come once it has new ones; then
    because they have gone silent, with nothing after it."""
    ada, *_, finn = here.cast.people
    async with here.load():
        pass
    await here.equal()
    subscribed = await asyncio.to_thread(_subscribers, here.cluster.redis.port)
    for number in range(4 if here.long else 2):
        sends, receives = here.webs if number % 2 else here.webs[::-1]
        receives.to_redis.refuses = True
        await asyncio.to_thread(_kill_subscribers, here.cluster.redis.port)
        receives.to_redis.cut()
        await here.cast.deliver(sends, ada, finn.id)
        receives.to_redis.flow()
        await until(partial(_all_subscribe, here.cluster.redis.port, subscribed), seconds=10)
        await here.cast.deliver(sends, ada, finn.id)
    await here.equal()
    # A process whose Redis failed a moment ago sends database notices as well, until it is tried.
    await asyncio.sleep(2 * PROBE_SECONDS)
    sends, receives = here.rng.sample(here.webs, 2)
    receives.to_redis.fall_silent()
    await here.cast.deliver(sends, ada, finn.id)


def _kill_subscribers(port: int) -> None:
    with redis.Redis(port=port, socket_timeout=5) as client:
        client.client_kill_filter(_type="pubsub")


def _subscribers(port: int) -> int:
    with redis.Redis(port=port, socket_timeout=5) as client:
        return len(client.client_list(_type="pubsub"))


def _all_subscribe(port: int, count: int) -> bool:
    return _subscribers(port) >= count
