"""What somebody who misbehaves has before them, and how they go about it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.servers import Person

ADDRESS = "127.0.0.66"
# Who is cut off comes back after this, in seconds.
PAUSE = 0.5


@dataclass(frozen=True)
class Target:
    """A server of two processes, and what is known of it."""

    ports: tuple[int, int]
    # Accounts of the attacker's own, whose posts and messages they may make.
    accounts: list[Person]
    # Addresses of people whose passwords are not known.
    emails: list[str]
    # One that the first account has written.
    post: str
    database_url: str
    redis_pid: int


# What was done and what came of it, each with how often.
Told = Counter[str]
# It ends at the time given, by time.perf_counter(), and needs little longer to tell.
Attack = Callable[[Target, Told, float], Awaitable[None]]


def left(end: float) -> float:
    """Return the seconds until then."""
    return max(0.0, end - time.perf_counter())


async def over_and_over(attempt: Callable[[], Awaitable[str]], told: Told, end: float) -> None:
    """Try again whenever an attempt is over, and take down what came of each."""
    while left(end):
        try:
            told[await attempt()] += 1
        except (OSError, EOFError) as error:
            told[f"refused ({str(error) or type(error).__name__})"] += 1
        await asyncio.sleep(min(PAUSE, left(end)))
