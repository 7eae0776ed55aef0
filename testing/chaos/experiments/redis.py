"""Faults of Redis, and of the connections to it."""

import asyncio

import redis

from testing.chaos.repetition import Repetition


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


async def pubsub_killed(here: Repetition) -> None:
    """The connections are killed over which the processes receive: a message is lost on the way,
    once with another one after it, and once as the last one before a silence."""
    ada, *_, finn = here.cast.people
    async with here.load():
        pass
    await here.equal()
    for web in here.webs:
        await asyncio.to_thread(_kill_pubsub, here.cluster.redis.port)
        await here.cast.deliver(web, ada, finn.id)
        # The processes subscribe again meanwhile, and may not have compared the heads yet.
        await asyncio.sleep(1.5)
        await here.cast.deliver(web, ada, finn.id)
        await asyncio.to_thread(_kill_pubsub, here.cluster.redis.port)
        await here.cast.deliver(web, ada, finn.id)
        await asyncio.sleep(1.5 if web is here.webs[0] else 0)


def _kill_pubsub(port: int) -> None:
    with redis.Redis(port=port, socket_timeout=5) as client:
        client.client_kill_filter(_type="pubsub")
