"""Loads that wait together are one call, and the load of one key is shared."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import pytest

from apps.core.gather import LARGEST_LOAD, MOST_LOADS, Gather, Load
from apps.core.kept import Kept, LoadStart
from apps.core.tests.hanging import wait_until


class Loads:
    """Loads that end when the test says so: calls are noted, and wait for `go` unless it is set."""

    def __init__(self) -> None:
        self.calls: list[Sequence[str]] = []
        self.go = asyncio.Event()
        self.failure: Exception | None = None
        self.rows = 0
        self.cache = Kept[str](1024 * 1024)
        self.gather = Gather[str, str](self.load, self.in_thread, self.cache, self.keep)

    def load(self, keys: Sequence[str]) -> Mapping[str, str]:
        return {key: f"{key} {self.rows}" for key in keys if key != "nobody"}

    async def in_thread(self, load: Load[str, str], keys: Sequence[str]) -> Mapping[str, str]:
        self.calls.append(keys)
        # The row is read before the thread is done.
        found = load(keys)
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return found

    def keep(self, key: str, value: str, start: LoadStart) -> None:
        self.cache.keep(key, value, tags=[key], size=1, start=start)

    async def begun(self, count: int) -> None:
        """Wait until so many calls were made."""
        await wait_until(lambda: len(self.calls) >= count)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(bounded())


@pytest.fixture(autouse=True)
def _seconds(settings: Any) -> None:
    settings.CACHE_SECONDS = 3600


def test_two_hundred_who_miss_one_key_at_once_load_it_once() -> None:
    async def scenario() -> None:
        loads = Loads()
        asked = [loads.gather.get("a") for _ in range(100)]
        await loads.begun(1)
        asked += [loads.gather.get("a") for _ in range(100)]
        loads.go.set()
        assert set(await asyncio.gather(*asked)) == {"a 0"}
        assert loads.calls == [["a"]]
        assert loads.cache.get("a") == "a 0"

    run(scenario())


def test_what_is_asked_for_at_one_moment_is_one_call() -> None:
    async def scenario() -> None:
        loads = Loads()
        loads.go.set()
        asked = [loads.gather.get(key) for key in ("a", "b", "nobody", "a")]
        assert await asyncio.gather(*asked) == ["a 0", "b 0", None, "a 0"]
        assert loads.calls == [["a", "b", "nobody"]]
        assert loads.cache.get("nobody") is None

    run(scenario())


def test_owner_with_many_keys_delays_another_owner_by_one_call() -> None:
    async def scenario() -> None:
        loads = Loads()
        first = [loads.gather.get(f"first {number}") for number in range(MOST_LOADS)]
        await loads.begun(1)
        many = [loads.gather.get(f"a {n}", "alice") for n in range(5 * LARGEST_LOAD)]
        one = loads.gather.get("b", "bob")
        loads.go.set()
        await asyncio.gather(*first, *many, one)
        [place] = [number for number, keys in enumerate(loads.calls) if "b" in keys]
        assert place <= MOST_LOADS

    run(scenario())


def test_a_load_from_before_a_change_is_not_joined() -> None:
    async def scenario() -> None:
        loads = Loads()
        early = loads.gather.get("a")
        await loads.begun(1)
        loads.rows = 1
        loads.cache.drop(["a"])
        late = [loads.gather.get("a") for _ in range(3)]
        await loads.begun(2)
        loads.go.set()
        assert await early == "a 0"
        assert set(await asyncio.gather(*late)) == {"a 1"}
        assert loads.calls == [["a"], ["a"]]
        assert loads.cache.get("a") == "a 1"

    run(scenario())


def test_a_load_that_waits_to_begin_is_joined_after_a_change() -> None:
    async def scenario() -> None:
        loads = Loads()
        early = loads.gather.get("a")
        loads.rows = 1
        loads.cache.drop(["a"])
        late = loads.gather.get("a")
        loads.go.set()
        assert list(await asyncio.gather(early, late)) == ["a 1", "a 1"]
        assert loads.calls == [["a"]]

    run(scenario())


def test_a_load_that_fails_fails_its_callers_only() -> None:
    async def scenario() -> None:
        loads = Loads()
        loads.failure = OSError("the database is away")
        failing = [loads.gather.get(key) for key in ("a", "b", "a")]
        await loads.begun(1)
        waiting = loads.gather.get("c")
        loads.go.set()
        found = await asyncio.gather(*failing, return_exceptions=True)
        assert {str(each) for each in found} == {"the database is away"}
        loads.failure = None
        with pytest.raises(OSError, match="away"):
            await waiting
        assert await loads.gather.get("a") == "a 0"

    run(scenario())


def test_a_value_that_cannot_be_kept_fails_its_callers() -> None:
    async def scenario() -> None:
        loads = Loads()
        loads.go.set()
        loads.gather.keep = lambda *_: 1 / 0  # type: ignore[assignment]
        with pytest.raises(ZeroDivisionError):
            await loads.gather.get("a")

    run(scenario())


def test_a_load_that_hangs_does_not_stop_others() -> None:
    async def scenario() -> None:
        loads, go = Loads(), asyncio.Event()
        hanging = loads.gather.get("a")
        await loads.begun(1)
        go, loads.go = loads.go, go
        loads.go.set()
        for number in range(3):
            assert await loads.gather.get(f"b{number}") == f"b{number} 0"
        assert not hanging.done()
        go.set()
        assert await hanging == "a 0"

    run(scenario())


def test_what_one_call_cannot_take_does_not_wait_for_it() -> None:
    async def scenario() -> None:
        loads = Loads()
        keys = [str(number) for number in range(LARGEST_LOAD + 1)]
        asked = [loads.gather.get(key) for key in keys]
        await loads.begun(MOST_LOADS)
        assert loads.calls == [keys[:LARGEST_LOAD], keys[LARGEST_LOAD:]]
        more = [loads.gather.get(f"later {number}") for number in range(3)]
        loads.go.set()
        assert len(await asyncio.gather(*asked, *more)) == LARGEST_LOAD + 4
        assert len(loads.calls) == 3
        assert not loads.gather._flights
        assert not loads.gather._waiting
        assert not loads.gather._running

    run(scenario())


def test_no_more_than_the_most_loads_run_at_once() -> None:
    async def scenario() -> None:
        loads = Loads()
        loads.gather.most = 1
        asked = [loads.gather.get(str(number)) for number in range(10)]
        await loads.begun(MOST_LOADS)
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(loads.calls) == MOST_LOADS
        loads.go.set()
        await asyncio.gather(*asked)
        assert [list(call) for call in loads.calls] == [[str(number)] for number in range(10)]

    run(scenario())


def test_a_caller_who_is_cancelled_leaves_the_load_to_the_others() -> None:
    async def scenario() -> None:
        loads = Loads()

        async def caller() -> str | None:
            return await asyncio.shield(loads.gather.get("a"))

        callers = [asyncio.create_task(caller()) for _ in range(3)]
        await loads.begun(1)
        callers[0].cancel()
        loads.go.set()
        found = await asyncio.gather(*callers, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == ["a 0", "a 0"]
        assert loads.calls == [["a"]]

    run(scenario())


def test_a_load_whose_callers_are_all_gone_still_ends() -> None:
    async def scenario() -> None:
        loads = Loads()
        loads.gather.get("a").cancel()
        loads.gather.get("b")
        await loads.begun(1)
        loads.go.set()
        assert await loads.gather.get("b") == "b 0"
        assert await loads.gather.get("a") == "a 0"

    run(scenario())
