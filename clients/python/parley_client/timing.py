"""How long the client waits for what."""

from dataclasses import dataclass, field
from random import Random, SystemRandom

# The server tells with close code 1012 that it restarts, and asks for a delay between these.
RESTART_SECONDS = (1.0, 10.0)


@dataclass(frozen=True)
class Backoff:
    """Delays between attempts, in seconds: random, up to a limit that doubles with each attempt
    ("full jitter": aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter)."""

    first: float = 1.0
    most: float = 30.0
    random: Random = field(default_factory=SystemRandom)

    def limit(self, attempt: int) -> float:
        """Return the longest delay before an attempt, of which the first is 0."""
        # Any longer power of two exceeds every limit.
        return min(self.most, self.first * 2.0 ** min(attempt, 32))

    def delay(self, attempt: int) -> float:
        """Return a delay before the attempt."""
        return self.random.uniform(0, self.limit(attempt))

    def restart_delay(self) -> float:
        """Return a delay after which to come back to a server that restarts."""
        return self.random.uniform(*RESTART_SECONDS)

    def around(self, seconds: float) -> float:
        """Return between half of the seconds and all of them, so that clients do not come at
        once."""
        return self.random.uniform(seconds / 2, seconds)


@dataclass(frozen=True)
class Timing:
    """How long the client waits, in seconds.

    A connection on which nothing arrives for `silence` is given up; after half of that the client
    asks the server for a sign of life. `opening` is for a connection, or an answer over HTTP,
    `polling` for how long the server holds a request until there are events. After
    `blocked_attempts` to open a websocket in a row that reached a server in vain the client polls,
    and tries a websocket again after at most `return_after`.
    """

    silence: float = 60.0
    opening: float = 10.0
    polling: int = 25
    blocked_attempts: int = 3
    return_after: float = 60.0
    backoff: Backoff = field(default_factory=Backoff)
