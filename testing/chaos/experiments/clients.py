"""Clients that repeat themselves, read slowly, leave all at once, lose what they got, or lose the
right to read."""

import asyncio
import socket
import time
from contextlib import suppress
from functools import partial

from bench.report import percentile
from bench.sockets import Client, Crowd
from testing.chaos.client import Unanswered
from testing.chaos.cluster import until
from testing.chaos.journal import Attempt
from testing.chaos.people import Person, never
from testing.chaos.repetition import Repetition

TOGETHER = 8
# How much slower deliveries to others may become by clients that do not read.
SLOWER = 1.2
SMALL_BUFFER = 4096


async def same_client_id(here: Repetition) -> None:
    """Eight requests at once on both processes send the same message, one with other words."""
    for number in range(100 if here.long else 12):
        ada, ben, *_ = here.cast.people if number % 2 else here.cast.people[::-1]
        attempt = here.cast.attempt(ada, ben.id, f"Ahoy {number}", f"Other words {number}")
        words = [f"Ahoy {number}"] * (TOGETHER - 1) + [f"Other words {number}"]
        here.rng.shuffle(words)
        await asyncio.gather(
            *(_send_these(here, ada, attempt, content, n) for n, content in enumerate(words))
        )


async def _send_these(
    here: Repetition, person: Person, attempt: Attempt, content: str, number: int
) -> None:
    web = here.webs[number % len(here.webs)]
    with suppress(Unanswered):
        id_ = await here.cast.post_message(web, person, attempt, content)
        attempt.acknowledge(id_, time.monotonic())


async def slow_readers(here: Repetition) -> None:
    """Sockets that read nothing, or little, are sent much, while the others go on."""
    *_, emil, finn = here.cast.people
    seconds = 8.0 if here.long else 2.0
    async with here.load():
        began = time.monotonic()
        await asyncio.sleep(seconds)
        token = finn.headers["Authorization"].removeprefix("Bearer ")
        readers = [Client(web.port, token, ()) for web in here.webs * 2]
        for reader in readers:
            reader.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        stalled = time.monotonic()
        while time.monotonic() < stalled + seconds:
            await here.cast.send(emil, finn.id, never, "\N{ANCHOR}" * 4500)
            # The first two read nothing at all.
            for reader in readers[2:]:
                with suppress(OSError):
                    reader.connection.recv(1000)
            # A user may send no more than 20 frames a second on a socket.
            await asyncio.sleep(0.03)
        ended = time.monotonic()
        for reader in readers:
            reader.connection.close()
    alone = percentile(here.journal.latencies(began, stalled - 0.2), 0.99)
    with_them = percentile(here.journal.latencies(stalled, ended), 0.99)
    here.notes.append(
        f"p99 of deliveries {alone * 1000:.0f} ms, with slow readers {with_them * 1000:.0f} ms: "
        f"{with_them / alone:.2f} times (goal {SLOWER})"
    )


async def dropped(here: Repetition) -> None:
    """A thousand sockets are dropped at once, and come back."""
    tokens = [one["token"] for one in here.crowd[: 250 if here.long else 25]]
    async with here.load(0.5):
        await asyncio.gather(
            *(asyncio.to_thread(_come_twice, web.port, tokens * 2) for web in here.webs)
        )


def _come_twice(port: int, tokens: list[str]) -> None:
    # A user may have ten sockets, and the server may take a while to notice that these left.
    with Crowd(port) as crowd:
        for _ in range(2):
            crowd.join(tokens, [(b'{"type":"connected"', "")])
            crowd.leave()


async def frames_lost(here: Repetition) -> None:
    """Devices lose events that reached them: some among others, and then the last one."""
    ada, *_, finn = here.cast.people
    async with here.load():
        for device in here.cast.devices:
            device.losing = here.rng.randint(1, 3)
        await asyncio.sleep(1)
    await here.equal()
    for device in finn.devices:
        device.losing = 1
    await here.cast.deliver(here.one, ada, finn.id)
    here.equal_seconds = here.heartbeat + 1


async def revoked(here: Repetition) -> None:
    """Finn is removed from the group while all write to it, in half of the cases without Redis."""
    ada, *_, finn = here.cast.people
    frozen = here.rng.random() < 0.5
    stream = f"conversation.{here.cast.group}"
    # What an earlier experiment cut off: without Redis and without notices only the sweep is left.
    await until(partial(_all_listen, here), seconds=20)
    async with here.load(2.0):
        if frozen:
            await asyncio.to_thread(here.cluster.redis.freeze)
            await asyncio.sleep(0.5)
        await here.cast.remove(here.one, ada, finn)
        at = time.monotonic()
        here.journal.members[here.cast.group].discard(finn.id)
        for device in finn.devices:
            here.journal.revoked_at[device.journal.name, stream] = at
        await asyncio.sleep(2)
        await asyncio.to_thread(here.cluster.redis.thaw)


def _all_listen(here: Repetition) -> bool:
    """Return whether each process listens to database notices."""
    listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"
    return bool(here.cluster.query(listening)[0][0] >= len(here.webs))
