"""Faults of PostgreSQL, and of the connections to it."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from testing.chaos.cluster import START_SECONDS, Cluster, Timeout
from testing.chaos.link import CutAt
from testing.chaos.repetition import Repetition, Skipped

# Bytes by which a disk is filled, down to a page.
PIECES = (64 * 1024**2, 1024**2, 4096)
# How many messages a restore takes away.
GONE = 3


async def stopped(here: Repetition) -> None:
    """It is stopped at once, without a checkpoint, and started again."""
    async with here.load(0.5):
        for _ in range(2 if here.long else 1):
            await asyncio.to_thread(here.cluster.crash_postgres)
            await asyncio.sleep(here.rng.uniform(0.2, 2))
            await asyncio.to_thread(here.cluster.postgres.start)
            await asyncio.sleep(here.rng.uniform(0.2, 1))


async def terminated(here: Repetition) -> None:
    """All of its connections are ended at its side, again and again."""
    async with here.load(0.5):
        for _ in range(5 if here.long else 3):
            await asyncio.to_thread(here.cluster.terminate_backends)
            await asyncio.sleep(here.rng.uniform(0.1, 0.6))


async def frozen(here: Repetition) -> None:
    """It does nothing for a while, and its connections stay open."""
    async with here.load(1.0):
        await asyncio.to_thread(here.cluster.postgres.freeze)
        await asyncio.sleep(20 if here.long else 2)
        await asyncio.to_thread(here.cluster.postgres.thaw)


async def commit_cut(here: Repetition) -> None:
    """Connections are cut when a commit is on its way: before PostgreSQL receives it, or after
    that and before its answer."""
    async with here.load(0.5):
        for before in (True, False, True, False):
            for web in here.webs:
                web.to_postgres.cut_at = CutAt(b"COMMIT", before, times=3)
            await asyncio.sleep(0.6)


async def disk_full(here: Repetition) -> None:
    """Its disk is full for a while."""
    if not here.cluster.small_disk:
        raise Skipped("no small disk could be mounted for PostgreSQL, which takes root")
    ballast = here.cluster.postgres.folder / "ballast"
    async with here.load(0.5):
        try:
            fill(ballast)
            for _ in range(6 if here.long else 3):
                await asyncio.sleep(0.5)
                with suppress(psycopg.Error):
                    # Each takes a whole file of the log that is written ahead.
                    await asyncio.to_thread(here.cluster.query, "SELECT pg_switch_wal()")
        finally:
            ballast.unlink()
        await runs_again(here.cluster)


def fill(ballast: Path) -> None:
    """Take all space that is left on a disk."""
    with ballast.open("wb") as file:
        end = 0
        for size in PIECES:
            with suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), end, size)
                    end += size


async def runs_again(cluster: Cluster) -> None:
    """Start PostgreSQL if it has ended by itself, and wait until it answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        if not cluster.postgres.runs:
            await asyncio.to_thread(cluster.postgres.stop)
            await asyncio.to_thread(cluster.postgres.start)
        try:
            await asyncio.to_thread(cluster.query, "SELECT 1")
        except psycopg.Error as error:
            if time.monotonic() > deadline:
                raise Timeout("PostgreSQL does not answer") from error
            await asyncio.sleep(0.2)
        else:
            return


def copy_database(cluster: Cluster) -> None:
    """Copy the database as it is, which nobody may be connected to meanwhile."""
    cluster.administer("ALTER DATABASE parley ALLOW_CONNECTIONS false")
    try:
        cluster.administer(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'parley'"
        )
        cluster.administer("CREATE DATABASE saved TEMPLATE parley")
    finally:
        cluster.administer("ALTER DATABASE parley ALLOW_CONNECTIONS true")


async def restored(here: Repetition) -> None:
    """The database is restored from a copy: what was sent after the copy is gone, and its numbers
    are used again while the clients are offline."""
    here.journal.may_reset = True
    ada, ben, *_ = here.cast.people
    async with here.load():
        pass
    await here.equal()
    await asyncio.to_thread(copy_database, here.cluster)
    for _ in range(GONE):
        gone = await here.cast.deliver(here.one, ada, ben.id)
        here.journal.taken_away.add(gone.client_id)
    await here.equal()
    await here.cast.leave()
    await asyncio.to_thread(here.cluster.end_webs)
    await asyncio.to_thread(here.cluster.administer, "DROP DATABASE parley WITH (FORCE)")
    await asyncio.to_thread(here.cluster.administer, "ALTER DATABASE saved RENAME TO parley")
    await asyncio.to_thread(here.cluster.manage, "manage.py", "renew_epochs", "--verbosity", "0")
    await here.cluster.restart(*here.webs)
    # At least as many, so that the head is where the clients have it, or beyond.
    for _ in range(GONE + here.rng.choice((0, 2))):
        await here.cast.deliver(here.one, ada, ben.id)
    for device in here.cast.devices:
        device.come()
