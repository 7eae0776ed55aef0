"""Faults of the hops between clients, processes and servers."""

import asyncio

from testing.chaos.repetition import Repetition


async def slow(here: Repetition) -> None:
    """Every hop takes its time."""
    async with here.load(0.5):
        for web in here.webs:
            web.link.delay = here.rng.uniform(0.05, 0.3)
            web.to_redis.delay = here.rng.uniform(0, 0.2)
            web.to_postgres.delay = here.rng.uniform(0, 0.03)
        await asyncio.sleep(8 if here.long else 2)
        for web in here.webs:
            for link in (web.link, web.to_redis, web.to_postgres):
                link.flow()


async def cut(here: Repetition) -> None:
    """Every connection of a hop is cut at once, again and again."""
    async with here.load(0.5):
        for _ in range(8 if here.long else 4):
            web = here.one
            here.rng.choice([web.link, web.to_redis, web.to_postgres]).cut()
            await asyncio.sleep(here.rng.uniform(0.1, 0.8))


async def half_open(here: Repetition) -> None:
    """Connections forward nothing any more, and nobody is told. Those to PostgreSQL are cut after a
    while, since the keepalive that would notice is answered by the link itself."""
    web = here.one
    async with here.load(1.0):
        for link in (web.link, web.to_redis, web.to_postgres):
            link.fall_silent()
        await asyncio.sleep(3)
        web.to_postgres.cut()
        await asyncio.sleep(8 if here.long else 4)
