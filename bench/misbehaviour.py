"""Every kind of bad neighbour, and the process that plays one."""

import asyncio
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection

from bench.bad_requests import hashing_flood, header_bomb, locked_row, slow_heads
from bench.bad_sockets import empty_fragments, healthy_readers, ping_flood, stalled_readers
from bench.target import Attack, Tally, Target, left

# The seconds that an attack may take to end.
GRACE = 15.0


async def frozen_redis(target: Target, tally: Tally, end: float) -> None:
    """Stop Redis, which then keeps its connections and answers nothing."""
    os.kill(target.redis_pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(left(end))
        tally["times frozen"] += 1
    finally:
        os.kill(target.redis_pid, signal.SIGCONT)


@dataclass(frozen=True)
class Kind:
    """A kind of bad neighbour, and how it is measured: the rounds, the seconds of each round, and
    those until the servers have recovered."""

    name: str
    attack: Attack
    rounds: int = 3
    seconds: float = 4.0
    rest: float = 1.5


KINDS = (
    # The control of the next one.
    Kind("the same messages, read", healthy_readers, rounds=2, seconds=16.0),
    # Long enough to fill the buffers of the system, and then those of the server.
    Kind("stalled readers", stalled_readers, rounds=2, seconds=16.0),
    Kind("ping flood", ping_flood, rounds=2, seconds=9.0),
    Kind("empty fragments", empty_fragments),
    Kind("header bomb", header_bomb),
    # Longer than a request may take to arrive.
    Kind("slow heads", slow_heads, rounds=2, seconds=34.0),
    Kind("hashing flood", hashing_flood),
    Kind("frozen Redis", frozen_redis, rounds=2, seconds=8.0, rest=3.0),
    # Longer than a statement may wait for a lock.
    Kind("locked row", locked_row, rounds=2, seconds=8.0),
)


@dataclass(frozen=True)
class Outcome:
    """The actions of a neighbour in one round, and how much of a core its own process took."""

    tally: Tally
    busy: float


def misbehave(pipe: Connection, attack: Attack, target: Target) -> None:
    """Run as the process: misbehave for each number of seconds from the pipe; send an Outcome."""
    while True:
        try:
            seconds = pipe.recv()
        except EOFError:
            return
        pipe.send(asyncio.run(_round(attack, target, seconds)))


async def _round(attack: Attack, target: Target, seconds: float) -> Outcome:
    tally: Tally = Counter()
    began, used = time.perf_counter(), time.process_time()
    try:
        async with asyncio.timeout(seconds + GRACE):
            await attack(target, tally, began + seconds)
    except TimeoutError:
        tally["did not come to an end"] += 1
    return Outcome(tally, (time.process_time() - used) / (time.perf_counter() - began))
