"""What is kept: bounded in bytes, the proven before the new, never older than a named change."""

import random
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from apps.core import kept
from apps.core.kept import Kept, clear_caches, drop_here, drop_when_committed, relay_drops

KILOBYTE = 1024
# The bytes of a cache that holds ten entries of a kilobyte with one tag, two of them new.
TEN = 10 * (KILOBYTE + kept.OVERHEAD + kept.TAG_OVERHEAD)


@pytest.fixture(autouse=True)
def _seconds(settings: Any) -> None:
    settings.CACHE_SECONDS = 3600


@pytest.fixture
def relayed() -> Iterator[list[list[str]]]:
    """The tags that other processes are told of."""
    told: list[list[str]] = []
    before = list(kept._relays)
    relay_drops(told.append)
    yield told
    kept._relays[:] = before


def keep(cache: Kept[str], key: str, *tags: str, value: str = "", size: int = KILOBYTE) -> None:
    cache.keep(key, value or key, tags=tags or [key], size=size, start=cache.begin())


def present(cache: Kept[Any]) -> set[Any]:
    """Return the keys without asking for them, which would prove them."""
    return {*cache._new, *cache._proven}


def is_consistent(cache: Kept[Any]) -> bool:
    """Return whether bytes and tags are those of the entries, within the bound."""
    entries = {**cache._new, **cache._proven}
    tags = {(tag, key) for key, entry in entries.items() for tag in entry.tags}
    return (
        len(entries) == len(cache._new) + len(cache._proven)
        and cache._new_bytes == sum(entry.size for entry in cache._new.values())
        and cache._proven_bytes == sum(entry.size for entry in cache._proven.values())
        and cache.bytes <= cache._size
        and tags == {(tag, key) for tag, keys in cache._by_tag.items() for key in keys}
        and all(cache._by_tag.values())
    )


def test_a_value_is_kept_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, now = Kept[str](TEN), [100.0]
    monkeypatch.setattr(kept, "time", SimpleNamespace(monotonic=lambda: now[0]))
    start = cache.begin()
    # Its time is counted from before it was read.
    now[0] += 5
    cache.keep("a", "value", tags=["a"], size=KILOBYTE, start=start)
    now[0] = 100 + 3599.9
    assert cache.get("a") == "value"
    now[0] = 100 + 3600
    assert cache.get("a") is None
    assert cache.bytes == 0


def test_a_flood_of_new_keys_does_not_push_out_what_was_asked_for_twice() -> None:
    cache = Kept[str](TEN)
    for number in range(8):
        keep(cache, f"hot {number}")
        assert cache.get(f"hot {number}")
    for number in range(1000):
        keep(cache, f"cold {number}")
        assert cache.bytes <= TEN
    assert present(cache) == {*(f"hot {n}" for n in range(8)), "cold 998", "cold 999"}


def test_of_what_was_asked_for_twice_the_least_recently_used_goes_first() -> None:
    cache = Kept[str](TEN)
    for number in range(9):
        keep(cache, str(number))
        cache.get(str(number))
        cache.get("0")
    assert present(cache) == {*"02345678"}


def test_a_value_that_is_larger_than_the_cache_is_not_kept() -> None:
    cache = Kept[str](TEN)
    keep(cache, "a", size=TEN)
    assert cache.get("a") is None
    assert is_consistent(cache)


def test_a_kept_value_is_replaced() -> None:
    cache = Kept[str](TEN)
    for size in (KILOBYTE, 2, 500):
        keep(cache, "a", f"tag of {size}", value=str(size), size=size)
        assert cache.get("a") == str(size)
        assert is_consistent(cache)
    cache.drop(["tag of 2"])
    assert cache.get("a") == "500"


@pytest.mark.parametrize("tags", [1, 41])
def test_entries_take_no_more_memory_than_is_counted(tags: int) -> None:
    cache = Kept[bytes](100 * KILOBYTE * KILOBYTE)
    tracemalloc.start()
    for number in range(300):
        names = [f"post:{uuid4()}" for _ in range(tags)]
        value = random.randbytes(KILOBYTE)
        cache.keep(("route", str(number)), value, tags=names, size=KILOBYTE, start=cache.begin())
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(cache._new) == 300
    assert taken < 1.2 * cache.bytes


def test_a_drop_takes_what_has_one_of_the_tags() -> None:
    cache = Kept[str](TEN)
    keep(cache, "a", "post:1", "user:1")
    keep(cache, "b", "post:2", "user:1")
    assert cache.get("b")
    cache.drop(["post:1", "nobody's"])
    assert present(cache) == {"b"}
    cache.drop(["user:1"])
    assert present(cache) == set()
    assert is_consistent(cache)


def test_a_load_that_began_before_a_drop_of_its_tag_is_not_kept() -> None:
    cache = Kept[str](TEN)
    before = cache.begin()
    cache.drop(["post:1"])
    assert not cache.unchanged_since(before)
    cache.keep("a", "old", tags=["user:1", "post:1"], size=1, start=before)
    assert cache.get("a") is None
    # A drop of other tags does not matter.
    cache.keep("b", "valid", tags=["post:2"], size=1, start=before)
    assert cache.get("b") == "valid"
    keep(cache, "a", "post:1")
    assert cache.get("a") == "a"


def test_a_load_that_began_before_a_clearing_is_not_kept() -> None:
    cache = Kept[str](TEN)
    keep(cache, "a")
    before = cache.begin()
    cache.clear()
    cache.keep("b", "old", tags=["b"], size=1, start=before)
    assert present(cache) == set()
    assert is_consistent(cache)


def test_a_load_from_before_a_forgotten_drop_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many tags are remembered, so the load of any tag may be an old one."""
    monkeypatch.setattr(kept, "MOST_DROPPED_TAGS", 3)
    cache = Kept[str](TEN)
    before = cache.begin()
    cache.drop(["post:1"])
    after = cache.begin()
    for tag in "abc":
        cache.drop([tag])
    assert len(cache._dropped) == 3
    cache.keep("old", "old", tags=["post:1"], size=1, start=before)
    assert cache.get("old") is None
    cache.keep("new", "new", tags=["post:1"], size=1, start=after)
    assert cache.get("new") == "new"


@pytest.mark.django_db(transaction=True)
def test_a_change_drops_everywhere_when_it_is_committed(relayed: list[list[str]]) -> None:
    cache, another = Kept[str](TEN), Kept[str](TEN)
    for one in (cache, another):
        keep(one, "a", "post:1")
    with transaction.atomic():
        drop_when_committed("post:1", "user:1")
        assert cache.get("a") == another.get("a") == "a"
        before = cache.begin()
    assert cache.get("a") is another.get("a") is None
    assert relayed == [["post:1", "user:1"]]
    cache.keep("a", "old", tags=["post:1"], size=1, start=before)
    assert cache.get("a") is None


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_rolled_back_drops_nothing(relayed: list[list[str]]) -> None:
    cache = Kept[str](TEN)
    keep(cache, "a", "post:1")

    def fail() -> None:
        with transaction.atomic():
            drop_when_committed("post:1")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert cache.get("a") == "a"
    assert relayed == []


def test_what_another_process_dropped_is_not_relayed_again(relayed: list[list[str]]) -> None:
    cache = Kept[str](TEN)
    keep(cache, "a", "post:1")
    drop_here(iter(["post:1"]))
    assert cache.get("a") is None
    keep(cache, "a")
    clear_caches()
    assert cache.get("a") is None
    assert relayed == []


KEYS = st.sampled_from("abcdef")
TAGS = st.lists(st.sampled_from("xyz"), max_size=3, unique=True)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("get"), KEYS),
        st.tuples(st.just("begin"), KEYS),
        st.tuples(st.just("keep"), KEYS, TAGS, st.integers(0, 5 * KILOBYTE)),
        st.tuples(st.just("drop"), TAGS),
        st.tuples(st.just("clear")),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_order_of_calls_gives_an_old_value(steps: list[Any]) -> None:
    """A value is the number of drops of its tags at the start of its load."""
    cache, starts = Kept[Any](TEN), dict[str, Any]()
    versions = dict.fromkeys("xyz", 0)
    for step in steps:
        match step:
            case ("get", key):
                if (value := cache.get(key)) is not None:
                    assert all(versions[tag] == version for tag, version in value.items())
            case ("begin", key):
                starts[key] = cache.begin(), dict(versions)
            case ("keep", key, tags, size) if key in starts:
                start, read = starts[key]
                value = {tag: read[tag] for tag in tags}
                cache.keep(key, value, tags=tags, size=size, start=start)
            case ("drop", tags):
                cache.drop(tags)
                versions |= {tag: versions[tag] + 1 for tag in tags}
            case ("clear",):
                cache.clear()
                versions = {tag: version + 1 for tag, version in versions.items()}
        assert is_consistent(cache)


def test_threads_that_keep_ask_and_drop_leave_no_old_value() -> None:
    cache, rows = Kept[int](TEN), dict.fromkeys(range(20), 0)
    # What the writers have been answered: nobody may read less after that.
    answered = dict(rows)
    old: list[int] = []
    ready = threading.Barrier(4)

    def read(seed: int) -> None:
        chance = random.Random(seed)
        ready.wait()
        for _ in range(3000):
            key = chance.randrange(20)
            least = answered[key]
            found = cache.get(key)
            if found is None:
                start = cache.begin()
                found = rows[key]
                cache.keep(key, found, tags=[str(key)], size=chance.randrange(900), start=start)
            if found < least:
                old.append(key)

    def write() -> None:
        chance = random.Random(0)
        ready.wait()
        for _ in range(3000):
            key = chance.randrange(20)
            rows[key] += 1
            cache.drop([str(key)])
            answered[key] = rows[key]

    with ThreadPoolExecutor(4) as threads:
        for working in [*(threads.submit(read, seed) for seed in range(3)), threads.submit(write)]:
            working.result(timeout=60)
    assert old == []
    assert is_consistent(cache)
    assert all(cache.get(key) in {None, rows[key]} for key in rows)
