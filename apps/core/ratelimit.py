"""One limiter for HTTP and websocket: what it counts, and how one process counts it.

It is the generic cell rate algorithm (GCRA, ITU-T I.371): of each key only the time is kept at
which its allowance will be whole again, so that a key costs a few bytes however large its burst.
docs/decisions/0002-rate-limiter.md says why this is not the `limits` package, and
docs/decisions/0011-bounded-keys.md how many keys there may be. How several processes share an
allowance is in apps/core/redis_limiter.py.
"""

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from apps.core.addresses import network_of
from apps.core.errors import RateLimited
from apps.core.features import limits


@dataclass(frozen=True)
class Limit:
    """At most `burst` at once, and `rate` per second in the long run."""

    rate: float
    burst: int

    @property
    def allowance(self) -> float:
        """Return the seconds after which an allowance that is used up is whole again."""
        return self.burst / self.rate

    def allows(self, wait: float) -> bool:
        """Return whether an allowance that is whole again after these seconds was large enough."""
        # Redis counts in whole microseconds.
        return wait <= self.allowance + 1e-6


def seconds_until_whole(whole_at: float, now: float, limit: Limit) -> float:
    """Return the seconds until an allowance is whole again once one more is taken from it.

    More than the limit allows means that there is nothing to take. Otherwise it is whole again at
    `now` plus these.
    """
    return max(whole_at - now, 0.0) + 1 / limit.rate


class Limiter(Protocol):
    """Where the times are kept."""

    def take(self, keys: Sequence[str], limit: Limit) -> list[float]:
        """Take one from the allowance of each key and return the seconds until it is whole again;
        where the limit does not allow them, nothing was taken."""


def digest(key: str) -> str:
    """Return what stands for the key where times are kept: 32 characters, whatever its length."""
    return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=16).hexdigest()


class LocalLimiter:
    """Keeps the times in this process, those of MOST_KEYS keys at most."""

    MOST_KEYS = 100_000

    def __init__(self) -> None:
        # In the order in which they were last taken from, the oldest first.
        self._whole_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, keys: Sequence[str], limit: Limit) -> list[float]:
        """See Limiter."""
        with self._lock:
            now = time.monotonic()
            waits = [self._take(digest(key), limit, now) for key in keys]
            self._forget_some(len(keys), now)
            return waits

    def _take(self, key: str, limit: Limit, now: float) -> float:
        wait = seconds_until_whole(self._whole_at.get(key, 0.0), now, limit)
        if limit.allows(wait):
            self._whole_at[key] = now + wait
            self._whole_at.move_to_end(key)
        return wait

    def _forget_some(self, added: int, now: float) -> None:
        # Two for each that may have been added: the rest catches up, and no call pays for all.
        for _ in range(2 * added):
            self._forget_oldest(now)

    def _forget_oldest(self, now: float) -> None:
        """Forget a key whose allowance is whole, or one too many."""
        oldest = next(iter(self._whole_at), None)
        if oldest is None:
            return
        if len(self._whole_at) > self.MOST_KEYS or self._whole_at[oldest] <= now:
            del self._whole_at[oldest]


@cache
def limiter() -> Limiter:
    """Return the limiter of this process."""
    made: Limiter = import_string(settings.LIMITER)()
    return made


@cache
def _limiter_here() -> LocalLimiter:
    return LocalLimiter()


def refusals(
    keys: Sequence[str], limit: Limit, by: Limiter | None = None
) -> list[RateLimited | None]:
    """Take one from the allowance of each key; return for each the refusal if it is used up."""
    return [
        None
        if limit.allows(wait)
        else RateLimited(
            limit=limit.burst,
            remaining=0,
            reset=math.ceil(wait - 1 / limit.rate),
            retry_after=max(1, math.ceil(wait - limit.allowance)),
        )
        for wait in (by or limiter()).take(keys, limit)
    ]


def consume(key: str, limit: Limit, by: Limiter | None = None) -> None:
    """Take one from the allowance of the key; raise RateLimited when it is used up."""
    [refusal] = refusals([key], limit, by)
    if refusal is not None:
        raise refusal


def consume_address(address: str, by: Limiter | None = None) -> None:
    """Count one request of a client, whom the network of the address stands for."""
    limit = Limit(settings.RATE_LIMIT_REQUESTS_PER_SECOND, settings.RATE_LIMIT_BURST)
    consume(f"address:{network_of(address)}", limit, by)


def consume_address_here(address: str) -> None:
    """Count one request of a client among those of this process alone, without asking Redis.

    It has a limiter of its own: those who pass are counted once more, by consume_address(). Whom it
    refuses that one would refuse as well, which counts at least as many.
    """
    consume_address(address, _limiter_here())


def consume_action(action: str, who: object) -> None:
    """Count one deed of a person or, before they are known, of the network of their address.

    `action` is one of those whose limits the features declare.
    """
    [refusal] = action_refusals(action, [who])
    if refusal is not None:
        raise refusal


def action_refusals(action: str, people: Sequence[object]) -> list[RateLimited | None]:
    """Count one deed of each, in one look into Redis; return for each the refusal, if any."""
    per_minute = settings.ACTION_LIMITS.get(action, limits()[action])
    keys = [f"action:{action}:{who}" for who in people]
    return refusals(keys, Limit(per_minute / 60, per_minute))
