"""One limiter for HTTP and websocket: what it counts, and how one process counts it.

It is the generic cell rate algorithm (GCRA, ITU-T I.371). For each key it stores only the time at
which the allowance will be whole again, so a key costs a few bytes however large its burst is.
docs/decisions/0002-rate-limiter.md says why this is not the `limits` package, and
docs/decisions/0011-bounded-keys.md how many keys there may be. apps/core/redis_limiter.py shares an
allowance between several processes.
"""

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from apps.core.addresses import network_of
from apps.core.errors import RateLimited
from apps.core.features import limits
from apps.core.metrics import Counter

LIMIT_REFUSALS = Counter(
    "parley_limit_refusals_total",
    "Requests and frames that a rate limit refused.",
    ("limit",),
)


@dataclass(frozen=True)
class Limit:
    """At most `burst` at once, and `rate` per second in the long run."""

    rate: float
    burst: int

    @cached_property
    def allowance(self) -> float:
        """Return the seconds after which a consumed allowance is whole again."""
        return self.burst / self.rate

    def allows(self, wait: float) -> bool:
        """Return whether the limit allows an allowance that is whole again after these seconds."""
        # Redis counts in whole microseconds.
        return wait <= self.allowance + 1e-6


def seconds_until_whole(whole_at: float, now: float, limit: Limit) -> float:
    """Return the seconds until an allowance is whole again after one more request.

    If they are more than the limit allows, nothing is left to take. Otherwise the allowance is
    whole again at `now` plus these seconds.
    """
    return max(whole_at - now, 0.0) + 1 / limit.rate


class Limiter(Protocol):
    """A store of the times at which allowances are whole again."""

    def take_now(self, key: str, limit: Limit) -> bool:
        """Take one from the allowance of a key and return True. Return False, and take nothing, if
        none is left, or if it takes waiting to find out."""

    def take(self, keys: Sequence[str], limit: Limit) -> list[float]:
        """Take one from the allowance of each key and return the seconds until it is whole again.
        Nothing is taken for a key whose seconds exceed the limit."""


@lru_cache(4096)
def digest(key: str) -> str:
    """Return the hash under which a key is stored: 32 characters, whatever the key's length."""
    return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=16).hexdigest()


class LocalLimiter:
    """Stores the times in this process, for MOST_KEYS keys at most."""

    MOST_KEYS = 100_000

    def __init__(self) -> None:
        # Ordered by last use, the least recently used first.
        self._whole_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, keys: Sequence[str], limit: Limit) -> list[float]:
        """See Limiter."""
        with self._lock:
            now, known = time.monotonic(), len(self._whole_at)
            waits = [self._take(digest(key), limit, now) for key in keys]
            self._forget_some(known, now)
            return waits

    def take_now(self, key: str, limit: Limit) -> bool:
        """See Limiter."""
        with self._lock:
            now, known = time.monotonic(), len(self._whole_at)
            taken = limit.allows(self._take(digest(key), limit, now))
            self._forget_some(known, now)
            return taken

    def _take(self, key: str, limit: Limit, now: float) -> float:
        wait = seconds_until_whole(self._whole_at.get(key, 0.0), now, limit)
        if limit.allows(wait):
            self._pass(key, now + wait)
        return wait

    def _pass(self, key: str, whole_at: float) -> None:
        self._whole_at[key] = whole_at
        self._whole_at.move_to_end(key)

    def _forget_some(self, known: int, now: float) -> None:
        # Two for each key that was added to those known before: so the table shrinks, and no call
        # walks all of it.
        for _ in range(2 * (len(self._whole_at) - known)):
            self._forget_oldest(now)

    def _forget_oldest(self, now: float) -> None:
        """Forget the oldest key if its allowance is whole, or if there are too many keys."""
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
def _local_limiter() -> LocalLimiter:
    return LocalLimiter()


def refusals(
    keys: Sequence[str], limit: Limit, by: Limiter | None = None
) -> list[RateLimited | None]:
    """Take one from the allowance of each key; return a refusal for each that is used up."""
    waits = (by or limiter()).take(keys, limit)
    return [
        None if limit.allows(wait) else _refusal(key, limit, wait)
        for key, wait in zip(keys, waits, strict=True)
    ]


def _refusal(key: str, limit: Limit, wait: float) -> RateLimited:
    kind, _, rest = key.partition(":")
    LIMIT_REFUSALS.add(1, rest.partition(":")[0] if kind == "action" else kind)
    return RateLimited(
        limit=limit.burst,
        remaining=0,
        reset=math.ceil(wait - 1 / limit.rate),
        retry_after=max(1, math.ceil(wait - limit.allowance)),
    )


def consume(key: str, limit: Limit, by: Limiter | None = None) -> None:
    """Take one from the allowance of the key; raise RateLimited when it is used up."""
    [refusal] = refusals([key], limit, by)
    if refusal is not None:
        raise refusal


def consume_address(address: str, by: Limiter | None = None) -> None:
    """Count one request of a client, who is known by the network of their address."""
    consume(f"address:{network_of(address)}", _address_limit(), by)


def address_refusals(addresses: Sequence[str]) -> list[RateLimited | None]:
    """Count one request of each client, as consume_address() does, in one call to Redis; return a
    refusal for each, if any."""
    return refusals([f"address:{network_of(one)}" for one in addresses], _address_limit())


def pass_network(network: str) -> bool:
    """Count one request of a client and return True, without waiting. Return False, and count
    nothing, if that is not possible: then consume_address() decides."""
    return limiter().take_now(f"address:{network}", _address_limit())


def _address_limit() -> Limit:
    return _limit(settings.RATE_LIMIT_REQUESTS_PER_SECOND, settings.RATE_LIMIT_BURST)


_limit = lru_cache(Limit)


def consume_address_locally(address: str) -> None:
    """Count one request of a client in this process alone, without asking Redis.

    It uses a limiter of its own, and consume_address() counts each accepted request again. That one
    counts at least as many requests, so it would refuse every request that this one refuses.
    """
    consume_address(address, _local_limiter())


def consume_action(action: str, owner: object) -> None:
    """Count one action of its owner: a user or, for an anonymous user, their network.

    `action` is the name of a limit that a feature declares. Raises RateLimited.
    """
    [refusal] = action_refusals(action, [owner])
    if refusal is not None:
        raise refusal


def action_refusals(action: str, owners: Sequence[object]) -> list[RateLimited | None]:
    """Count one action of each owner, in one call to Redis; return a refusal for each, if any."""
    per_minute = settings.ACTION_LIMITS.get(action, limits()[action])
    keys = [f"action:{action}:{owner}" for owner in owners]
    return refusals(keys, Limit(per_minute / 60, per_minute))
