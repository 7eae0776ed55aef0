"""What a misbehaving client attacks, and how it repeats its attempts."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.servers import User

ADDRESS = "127.0.0.66"
# Seconds after which a client that was cut off comes back.
PAUSE = 0.5


@dataclass(frozen=True)
class Target:
    """A server of two processes, and what the attacker knows of it."""

    ports: tuple[int, int]
    # Accounts of the attacker, who may write posts and messages with them.
    accounts: list[User]
    # Addresses of users whose passwords the attacker does not know.
    emails: list[str]
    # A post of the first account.
    post: str
    database_url: str
    redis_pid: int


# Actions and their outcomes, each with how often it happened.
Tally = Counter[str]
# Runs until the given time of time.perf_counter(), and returns soon after it.
Attack = Callable[[Target, Tally, float], Awaitable[None]]


def left(end: float) -> float:
    """Return the seconds until that time."""
    return max(0.0, end - time.perf_counter())


async def repeat_until(attempt: Callable[[], Awaitable[str]], tally: Tally, end: float) -> None:
    """Repeat the attempt until that time, and count the outcome of each."""
    while left(end):
        try:
            tally[await attempt()] += 1
        except (OSError, EOFError) as error:
            tally[f"refused ({str(error) or type(error).__name__})"] += 1
        await asyncio.sleep(min(PAUSE, left(end)))
