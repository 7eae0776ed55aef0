"""Faults of the web processes."""

import asyncio
import signal

from testing.chaos.people import FEED
from testing.chaos.repetition import Repetition

# How far the clock of one process is behind, and how long the log is kept then.
BEHIND_SECONDS, RETENTION_SECONDS = 600, 300


async def killed(here: Repetition) -> None:
    """A web process is killed every few seconds."""
    async with here.load(0.5):
        for _ in range(3 if here.long else 1):
            web = here.one
            await asyncio.to_thread(here.cluster.kill, web)
            await asyncio.sleep(here.rng.uniform(0.1, 0.7))
            await here.cluster.restart(web)
            await asyncio.sleep(here.rng.uniform(0.1, 0.7))


async def frozen(here: Repetition) -> None:
    """A web process does nothing for a while, and its connections stay open."""
    web = here.one
    async with here.load(1.0):
        web.send(signal.SIGSTOP)
        await asyncio.sleep(20 if here.long else 3)
        web.send(signal.SIGCONT)


async def deployed(here: Repetition) -> None:
    """The processes are replaced one after the other."""
    async with here.load(0.5):
        for web in here.webs:
            await asyncio.to_thread(web.end, signal.SIGTERM)
            await here.cluster.restart(web)


async def clock(here: Repetition) -> None:
    """The clock of one process is ten minutes behind, and the log is pruned while Finn is offline:
    events that look old are among others that do not."""
    behind = here.webs[1]
    here.journal.may_reset = True
    right = behind.environment
    behind.environment = {**right, "CHAOS_CLOCK_AHEAD": str(-BEHIND_SECONDS)}
    try:
        await asyncio.to_thread(behind.end)
        await here.cluster.restart(behind)
        async with here.load(0.5):
            pass
        await here.equal()
        ada, *_, finn = here.cast.people
        for device in finn.devices:
            await device.leave()
        for number in range(10):
            await here.cast.deliver(here.webs[number % 2], ada, finn.id)
        await here.cast.send(ada, FEED)
        retention = str(RETENTION_SECONDS)
        await asyncio.to_thread(
            here.cluster.manage, "manage.py", "prune", CHAOS_RETENTION=retention
        )
        for device in finn.devices:
            device.come()
    finally:
        behind.environment = right
        await asyncio.to_thread(behind.end)
        await here.cluster.restart(behind)
