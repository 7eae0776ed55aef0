"""Calls that go together: each caller gets an outcome of their own, and owners take turns."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from apps.core.errors import Busy, NotFound, ServiceUnavailable
from apps.core.tests.hanging import wait_until
from apps.realtime import together
from apps.realtime.together import LARGEST_CALL, MOST_CALLS, Together

Outcomes = Sequence[str | Exception]


class Calls:
    """Calls that wait until they may go on, and note what they were asked for."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []
        self.go = asyncio.Event()
        self.together = Together(self._call)

    async def _call(self, items: Sequence[str]) -> Outcomes:
        self.asked.append(items)
        await self.go.wait()
        if "fatal" in items:
            raise RuntimeError
        return [NotFound() if item == "bad" else item.upper() for item in items]


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario()

    asyncio.run(run())


def test_those_who_ask_at_one_moment_share_a_call_and_no_outcome() -> None:
    async def scenario() -> None:
        calls = Calls()
        calls.go.set()
        asked = [calls.together.ask(item) for item in ("a", "bad", "c")]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert calls.asked == [["a", "bad", "c"]]
        assert outcomes[::2] == ["A", "C"]
        assert isinstance(outcomes[1], NotFound)

    play(scenario)


def test_a_call_that_fails_fails_for_those_who_share_it_only() -> None:
    async def scenario() -> None:
        calls = Calls()
        calls.go.set()
        together = [calls.together.ask(item) for item in ("a", "fatal")]
        outcomes = await asyncio.gather(*together, return_exceptions=True)
        assert [getattr(one, "status", 0) for one in outcomes] == [500, 500]
        assert await calls.together.ask("b") == "B"

    play(scenario)


def test_a_call_that_hangs_stops_nobody_and_others_gather_behind_as_many_as_may_run() -> None:
    async def scenario() -> None:
        calls = Calls()
        hanging = calls.together.ask("hangs")
        await wait_until(lambda: len(calls.asked) == 1)
        held, calls.go = calls.go, asyncio.Event()
        calls.go.set()
        for item in ("a", "b", "c"):
            assert await calls.together.ask(item) == item.upper()
        assert not hanging.done()
        held.set()
        assert await hanging == "HANGS"
        calls.go = asyncio.Event()
        begun = [calls.together.ask(str(number)) for number in range(2)]
        await wait_until(lambda: len(calls.asked) == 5)
        begun += [calls.together.ask("x")]
        await wait_until(lambda: len(calls.asked) == 4 + MOST_CALLS)
        behind = [calls.together.ask(str(number)) for number in range(9)]
        calls.go.set()
        await asyncio.gather(*begun, *behind)
        assert [len(asked) for asked in calls.asked[4:]] == [2, 1, 9]

    play(scenario)


def test_an_owner_who_asks_for_much_delays_the_others_by_one_call() -> None:
    async def scenario() -> None:
        calls = Calls()
        calls.go.set()
        flood = [calls.together.ask(f"f{number}", "flood") for number in range(5 * LARGEST_CALL)]
        one = calls.together.ask("one", "somebody else")
        assert await one == "ONE"
        assert "one" in calls.asked[0]
        await asyncio.gather(*flood)

    play(scenario)


def test_who_waited_for_too_long_is_told_that_the_server_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        calls = Calls()
        begun = []
        for number in range(MOST_CALLS):
            begun.append(calls.together.ask(f"{number}"))
            await wait_until(lambda: len(calls.asked) == len(begun))
        monkeypatch.setattr(together, "WAIT_SECONDS", 0.01)
        with pytest.raises(Busy):
            await calls.together.ask("late")
        calls.go.set()
        assert await asyncio.gather(*begun) == ["0", "1"]
        assert len(calls.asked) == len(begun)

    play(scenario)


def test_what_a_caller_gave_up_is_not_done() -> None:
    async def scenario() -> None:
        calls = Calls()
        begun = []
        for number in range(MOST_CALLS):
            begun.append(calls.together.ask(f"{number}"))
            await wait_until(lambda: len(calls.asked) == len(begun))
        given_up, kept = calls.together.ask("given up"), calls.together.ask("kept")
        given_up.cancel()
        calls.go.set()
        assert await kept == "KEPT"
        assert calls.asked[-1] == ["kept"]

    play(scenario)


def test_a_refusal_for_all_is_a_refusal() -> None:
    async def refuse(_: Sequence[str]) -> Outcomes:
        raise Busy

    async def scenario() -> None:
        with pytest.raises(ServiceUnavailable):
            await Together(refuse).ask("a")

    play(scenario)
