"""Bounded caches in a process whose entries are dropped by tags when what they show changes.

A write names the tags of what it changes with drop_when_committed(). Its own process drops the
entries before the writer is answered, and the others when they learn of it; what no process tells
them is gone after CACHE_SECONDS. docs/decisions/0028-hot-reads.md says how stale an entry can be.
"""

import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from django.conf import settings
from django.db import transaction

V = TypeVar("V")

# What an entry takes besides its value, in bytes: its key and its place in a table; and for each
# tag that no other entry has, its text and the set of its keys.
OVERHEAD = 450
TAG_OVERHEAD = 350
# The part of the bytes for entries that were asked for once. The rest is for those that were asked
# for again, which a flood of other keys does not push out (segmented LRU, Karedla et al. 1994).
NEW_PART = 0.2
# Of how many tags a cache remembers the last drop.
MOST_DROPPED_TAGS = 10_000


@dataclass(frozen=True, slots=True)
class LoadStart:
    """When a load began: after which drop, and when by time.monotonic()."""

    drops: int
    at: float


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    tags: tuple[str, ...]
    size: int
    until: float


class Kept(Generic[V]):
    """Values by key, for CACHE_SECONDS at most, and as many as fit into `size` bytes.

    May be used from any thread. A value that was loaded while one of its tags was dropped is not
    kept, since it may be older than the change.
    """

    def __init__(self, size: int) -> None:
        self._new_size = int(size * NEW_PART)
        self._size = size
        # Both are ordered by last use, the least recently used first.
        self._new: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._proven: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._new_bytes = self._proven_bytes = 0
        self._by_tag: defaultdict[str, set[Hashable]] = defaultdict(set)
        self._drops = 0
        # The number of each tag's last drop, the oldest first, and the largest one that is
        # forgotten.
        self._dropped: OrderedDict[str, int] = OrderedDict()
        self._forgotten = 0
        self._lock = threading.Lock()
        _caches.add(self)

    @property
    def bytes(self) -> int:
        """Return how many bytes the entries take."""
        return self._new_bytes + self._proven_bytes

    def get(self, key: Hashable) -> V | None:
        """Return the value of a key, None if there is none."""
        with self._lock:
            entry = self._proven.get(key) or self._new.get(key)
            if entry is None:
                return None
            if entry.until <= time.monotonic():
                self._remove(key)
                return None
            if key in self._proven:
                self._proven.move_to_end(key)
            else:
                self._promote(key, entry)
            return entry.value

    def begin(self) -> LoadStart:
        """Return the start of a load, for keep(). The load must read after this."""
        return LoadStart(self._drops, time.monotonic())

    def unchanged_since(self, start: LoadStart) -> bool:
        """Return whether nothing at all was dropped since the start of a load."""
        return start.drops == self._drops

    def keep(
        self, key: Hashable, value: V, *, tags: Iterable[str], size: int, start: LoadStart
    ) -> None:
        """Keep a loaded value, unless one of its tags was dropped since its load began. `size` is
        that of the value in bytes."""
        tags = tuple(tags)
        size += OVERHEAD + TAG_OVERHEAD * len(tags)
        entry = _Entry(value, tags, size, start.at + settings.CACHE_SECONDS)
        with self._lock:
            if self._changed_since(start, tags):
                return
            proven = key in self._proven
            self._remove(key)
            for tag in tags:
                self._by_tag[tag].add(key)
            if proven:
                self._proven[key] = entry
                self._proven_bytes += entry.size
            else:
                self._new[key] = entry
                self._new_bytes += entry.size
            self._evict()

    def drop(self, tags: Sequence[str]) -> None:
        """Drop all values that have one of the tags."""
        with self._lock:
            self._drops += 1
            for tag in tags:
                for key in tuple(self._by_tag.get(tag, ())):
                    self._remove(key)
                self._dropped[tag] = self._drops
                self._dropped.move_to_end(tag)
            while len(self._dropped) > MOST_DROPPED_TAGS:
                _, self._forgotten = self._dropped.popitem(last=False)

    def clear(self) -> None:
        """Drop all values, whatever their tags."""
        with self._lock:
            self._drops += 1
            self._forgotten = self._drops
            self._new.clear()
            self._proven.clear()
            self._by_tag.clear()
            self._new_bytes = self._proven_bytes = 0

    def _changed_since(self, start: LoadStart, tags: Iterable[str]) -> bool:
        """Return whether one of the tags was dropped since a load began, or may have been."""
        if self.unchanged_since(start):
            return False
        last = max((self._dropped.get(tag, 0) for tag in tags), default=0)
        return max(last, self._forgotten) > start.drops

    def _promote(self, key: Hashable, entry: _Entry[V]) -> None:
        del self._new[key]
        self._new_bytes -= entry.size
        self._proven[key] = entry
        self._proven_bytes += entry.size
        self._evict()

    def _evict(self) -> None:
        while self._new_bytes > self._new_size:
            self._remove(next(iter(self._new)))
        while self._proven_bytes > self._size - self._new_size:
            self._remove(next(iter(self._proven)))

    def _remove(self, key: Hashable) -> None:
        if (entry := self._new.pop(key, None)) is not None:
            self._new_bytes -= entry.size
        elif (entry := self._proven.pop(key, None)) is not None:
            self._proven_bytes -= entry.size
        else:
            return
        for tag in entry.tags:
            keys = self._by_tag[tag]
            keys.discard(key)
            if not keys:
                del self._by_tag[tag]


Relay = Callable[[list[str]], None]

# A cache is forgotten with what uses it.
_caches: WeakSet[Kept[Any]] = WeakSet()
_relays: list[Relay] = []


def relay_drops(relay: Relay) -> None:
    """Register what tells the other processes which tags were dropped here."""
    _relays[:] = [relay]


def drop_here(tags: Iterable[str]) -> None:
    """Drop what has one of the tags, in all caches of this process."""
    if tags := list(tags):
        for cache in tuple(_caches):
            cache.drop(tags)


def drop_when_committed(*tags: str) -> None:
    """Drop what has one of the tags, in every process, once the present transaction is committed:
    here before the writer is answered."""
    transaction.on_commit(partial(_drop_everywhere, list(tags)), robust=True)


def _drop_everywhere(tags: list[str]) -> None:
    drop_here(tags)
    for relay in _relays:
        relay(tags)


def clear_caches() -> None:
    """Drop everything that this process has kept."""
    for cache in tuple(_caches):
        cache.clear()
