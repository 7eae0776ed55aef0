"""Values that take a while to find out, and may be some seconds old.

Each is found out by one caller at a time. While one of them does so, the others get the value
before, as HTTP's caches do with stale-while-revalidate (RFC 5861).
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from django.conf import settings

V = TypeVar("V")


class Found(NamedTuple, Generic[V]):
    """A value, and when it was asked for, by time.monotonic(). Changes since may not be in it."""

    value: V
    at: float


@dataclass(slots=True)
class _Entry(Generic[V]):
    found: Found[V] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def found_within(self, seconds: float) -> Found[V] | None:
        """Return what was found out if it is not older than that."""
        found = self.found
        return None if found is None or time.monotonic() - found.at >= seconds else found


class Refreshed(Generic[V]):
    """At most `most` values by key, the last used ones, none of them older than CACHE_SECONDS.

    A value that is not `worth_keeping` is found out for each caller. May be used from any thread.
    """

    def __init__(self, most: int, worth_keeping: Callable[[V], bool] = lambda value: True) -> None:
        self._most = most
        self._worth_keeping = worth_keeping
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, find_out: Callable[[], V]) -> Found[V]:
        """Return the value of a key. It is found out anew after half of CACHE_SECONDS, so that the
        others may get it meanwhile and never get an older one."""
        if not settings.CACHE_SECONDS:
            return Found(at=time.monotonic(), value=find_out())
        entry = self._entry(key)
        if (fresh := entry.found_within(settings.CACHE_SECONDS / 2)) is not None:
            return fresh
        usable = entry.found_within(settings.CACHE_SECONDS)
        if not entry.lock.acquire(blocking=usable is None):
            assert usable is not None
            return usable
        try:
            # Another caller may have found it out while this one waited.
            fresh = entry.found_within(settings.CACHE_SECONDS / 2)
            return self._find_out(key, entry, find_out) if fresh is None else fresh
        finally:
            entry.lock.release()

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._entries.clear()

    def _entry(self, key: Hashable) -> _Entry[V]:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
            return entry

    def _find_out(self, key: Hashable, entry: _Entry[V], find_out: Callable[[], V]) -> Found[V]:
        found = Found(at=time.monotonic(), value=find_out())
        if self._worth_keeping(found.value):
            entry.found = found
        else:
            with self._lock:
                self._entries.pop(key, None)
        return found
