"""Items that wait at one moment are committed together; a fault of one costs the others nothing.

An item is a name; it locks the letters of the name.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import structlog
from django.db import OperationalError

from apps.core.errors import Conflict, DomainError, RateLimited, ServiceUnavailable
from apps.realtime import group_commit
from apps.realtime.group_commit import MOST_LOCKED, GroupCommit, one_per_loop

Outcome = str | DomainError


class TooMany(ServiceUnavailable):
    message = "Too many items wait."


class Refused(Conflict):
    message = "The item is refused."


class Table:
    """What was committed. It raises an error for a transaction that `fails`."""

    def __init__(
        self,
        error: Exception | None = None,
        fails: Callable[[Sequence[str]], bool] = lambda items: True,
    ) -> None:
        self.rows: list[str] = []
        self.tried: list[Sequence[str]] = []
        self._error = error
        self._fails = fails

    def commit(self, items: Sequence[str]) -> list[Outcome]:
        self.tried.append(items)
        if self._error and self._fails(items):
            raise self._error
        self.rows += items
        return [item.upper() for item in items]


class StalledTable(Table):
    """A table that commits nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.released = threading.Event(), threading.Event()

    def commit(self, items: Sequence[str]) -> list[Outcome]:
        self.reached.set()
        assert self.released.wait(timeout=20)
        return super().commit(items)


def cancelled(sqlstate: str) -> OperationalError:
    """Return the error of a statement that a living PostgreSQL cancelled: with 55P03 it waited too
    long for a lock, with 57014 it took too long."""
    error = OperationalError("canceling statement due to a timeout")
    error.__cause__ = type("Cancelled", (Exception,), {"sqlstate": sqlstate})()
    return error


LOCKED, SLOW, LOST = cancelled("55P03"), cancelled("57014"), OperationalError("connection lost")


@pytest.fixture(autouse=True)
def _without_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let groups be committed without a connection."""
    monkeypatch.setattr(group_commit, "in_thread", asyncio.to_thread)
    monkeypatch.setattr(group_commit, "lock_timeout", lambda milliseconds: nullcontext())


def commits_of(
    commit: Callable[[Sequence[str]], Sequence[Outcome]],
    refusals_of: Callable[[Sequence[str]], Sequence[DomainError | None]] = lambda items: (
        [None] * len(items)
    ),
    owner_of: Callable[[str], str] = str,
) -> GroupCommit[str, str]:
    return GroupCommit(
        commit=commit,
        refusals_of=refusals_of,
        owner_of=owner_of,
        locks_of=frozenset,
        too_many=TooMany,
    )


def submitted(items: Sequence[str], make: Callable[[], GroupCommit[str, str]]) -> list[Any]:
    """Return the outcome of each of the items that are submitted at one moment."""

    async def submit() -> list[Any]:
        commits = make()
        waiting = [commits.submit(item) for item in items]
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(submit())


def submitted_to(table: Table, items: Sequence[str]) -> list[Any]:
    return submitted(items, lambda: commits_of(table.commit))


def sizes(table: Table) -> list[int]:
    return [len(items) for items in table.tried]


def test_items_of_one_moment_are_committed_together_in_their_order() -> None:
    table = Table()
    assert submitted_to(table, ["a", "b", "c"]) == ["A", "B", "C"]
    assert table.tried == [["a", "b", "c"]]


def test_a_group_has_at_most_the_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "LARGEST_GROUP", 2)
    table = Table()
    assert submitted_to(table, list("abcde")) == list("ABCDE")
    assert table.tried == [["a", "b"], ["c", "d"], ["e"]]


def test_a_flood_by_one_owner_delays_another_by_a_share_of_a_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ada submits a hundred items before Ben submits two; hers keep their order."""
    monkeypatch.setattr(group_commit, "LARGEST_SHARE", 3)
    table = Table()
    ada, ben = [f"a{n}" for n in range(100)], ["b0", "b1"]
    found = submitted(ada + ben, lambda: commits_of(table.commit, owner_of=lambda item: item[0]))
    assert found == [item.upper() for item in ada + ben]
    assert table.tried[:2] == [["a0", "b0", "a1", "b1", "a2"], ["a3", "a4", "a5"]]
    assert [row for row in table.rows if row in ada] == ada


def test_items_that_arrive_during_a_commit_are_the_next_group() -> None:
    table = StalledTable()

    async def submit() -> None:
        commits = commits_of(table.commit)
        first = asyncio.create_task(commits.submit("a"))
        await asyncio.to_thread(table.reached.wait, 20)
        others = [asyncio.create_task(commits.submit(item)) for item in "bc"]
        await asyncio.sleep(0)
        table.released.set()
        await asyncio.gather(first, *others)

    asyncio.run(submit())
    assert table.tried == [["a"], ["b", "c"]]


def test_an_item_is_refused_when_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 2)
    table = Table()
    *committed, refused = submitted_to(table, list("abc"))
    assert committed == ["A", "B"]
    assert isinstance(refused, TooMany)
    assert table.rows == ["a", "b"]


def test_an_item_whose_caller_was_cancelled_is_not_committed_and_holds_nobody_up() -> None:
    table = StalledTable()

    async def submit() -> list[Any]:
        commits = commits_of(table.commit)
        tasks = [asyncio.create_task(commits.submit("a"))]
        await asyncio.to_thread(table.reached.wait, 20)
        tasks += [asyncio.create_task(commits.submit(item)) for item in "bc"]
        # The tasks run to the point where they wait before this coroutine continues.
        await asyncio.sleep(0)
        tasks[1].cancel()
        table.released.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, cancelled_one, last = asyncio.run(submit())
    assert isinstance(cancelled_one, asyncio.CancelledError)
    assert (first, last, table.rows) == ("A", "C", ["a", "c"])


def test_an_item_that_is_refused_before_is_not_part_of_the_transaction() -> None:
    table = Table()
    limit = RateLimited(limit=1, remaining=0, reset=1, retry_after=1)

    def refusals_of(items: Sequence[str]) -> list[DomainError | None]:
        return [limit if item == "b" else None for item in items]

    outcomes = submitted(list("abc"), lambda: commits_of(table.commit, refusals_of))
    assert outcomes == ["A", limit, "C"]
    assert table.tried == [["a", "c"]]


def test_an_item_that_the_commit_refuses_leaves_the_others_their_results() -> None:
    refused = Refused()

    def commit(items: Sequence[str]) -> list[Outcome]:
        return [refused if item == "b" else item.upper() for item in items]

    assert submitted(list("abc"), lambda: commits_of(commit)) == ["A", refused, "C"]


def test_a_group_that_fails_is_committed_item_by_item_and_only_the_faulty_one_is_refused() -> None:
    table = Table(ValueError("bad"), lambda items: "b" in items)
    first, fault, last = submitted_to(table, list("abc"))
    assert (first, last, table.rows) == ("A", "C", ["a", "c"])
    assert (fault.code, fault.status) == ("INTERNAL_ERROR", 500)
    assert table.tried == [["a", "b", "c"], ["a"], ["b"], ["c"]]


def test_a_group_that_may_have_been_committed_is_not_committed_again() -> None:
    table = Table(LOST)
    assert {one.code for one in submitted_to(table, ["a"] * 20)} == {"SERVICE_UNAVAILABLE"}
    assert sizes(table) == [20]


def test_the_retry_ends_after_the_last_failure_of_the_database_that_is_allowed() -> None:
    table = Table(SLOW)
    assert {one.code for one in submitted_to(table, ["a"] * 20)} == {"SERVICE_UNAVAILABLE"}
    assert sizes(table) == [20, 1, 1, 1]


def test_faults_of_items_do_not_end_the_retry() -> None:
    table = Table(ValueError("bad"), lambda items: "a" in items)
    *faults, last = submitted_to(table, [*"aaaaa", "b"])
    assert {one.code for one in faults} == {"INTERNAL_ERROR"}
    assert (last, table.rows) == ("B", ["b"])


def test_an_item_does_not_wait_for_the_same_locks_again() -> None:
    table = Table(LOCKED, lambda items: "ab" in items)
    *refused, last = submitted_to(table, ["ab", "ba", "ab", "ac"])
    assert {one.code for one in refused} == {"SERVICE_UNAVAILABLE"}
    assert last == "AC"
    assert table.tried[1:] == [["ab"], ["ac"]]


def test_an_item_does_not_wait_for_a_lock_that_two_items_waited_for() -> None:
    table = Table(LOCKED, lambda items: any("a" in item for item in items))
    *refused, last = submitted_to(table, ["ab", "ac", "ad", "bc"])
    assert {one.code for one in refused} == {"SERVICE_UNAVAILABLE"}
    assert last == "BC"
    assert table.tried[1:] == [["ab"], ["ac"], ["bc"]]


def test_many_locked_items_cost_the_others_nothing() -> None:
    table = Table(LOCKED, lambda items: any(item.isdigit() for item in items))
    *refused, one, other = submitted_to(table, [*"12345678", "a", "b"])
    assert {each.code for each in refused} == {"SERVICE_UNAVAILABLE"}
    assert (one, other) == ("A", "B")


def test_the_retry_ends_after_the_last_lock_that_may_be_waited_for() -> None:
    table = Table(LOCKED)
    letters = [chr(ord("a") + number) for number in range(MOST_LOCKED + 5)]
    assert {one.code for one in submitted_to(table, letters)} == {"SERVICE_UNAVAILABLE"}
    assert sizes(table) == [len(letters)] + [1] * MOST_LOCKED


def test_an_error_outside_the_transaction_refuses_the_group_and_the_next_one_is_committed() -> None:
    table = Table()
    errors = iter([ValueError("limiter")])

    def refusals_of(items: Sequence[str]) -> list[DomainError | None]:
        for error in errors:
            raise error
        return [None] * len(items)

    async def submit() -> None:
        commits = commits_of(table.commit, refusals_of)
        with pytest.raises(DomainError) as refused:
            await commits.submit("a")
        assert refused.value.code == "INTERNAL_ERROR"
        assert await commits.submit("b") == "B"

    asyncio.run(submit())
    assert table.rows == ["b"]


def test_each_loop_has_one_group_commit() -> None:
    table = Table()
    commits = one_per_loop(lambda: commits_of(table.commit))

    async def used_twice() -> GroupCommit[str, str]:
        assert commits() is commits()
        await commits().submit("a")
        return commits()

    assert asyncio.run(used_twice()) is not asyncio.run(used_twice())
    assert table.rows == ["a", "a"]


def test_the_line_about_an_item_that_fails_names_its_own_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    table = Table(ValueError("broken"), fails=lambda items: "bob" in items)

    async def request(commits: GroupCommit[str, str], item: str) -> None:
        structlog.contextvars.bind_contextvars(request_id=f"request of {item}")
        await commits.submit(item)

    async def submit() -> list[Any]:
        commits = commits_of(table.commit)
        requests = [request(commits, item) for item in ("alice", "bob", "carol")]
        return await asyncio.gather(*requests, return_exceptions=True)

    structlog.contextvars.clear_contextvars()
    alices, bobs, carols = asyncio.run(submit())
    assert (alices, carols) == (None, None)
    assert isinstance(bobs, DomainError)
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    # The first is about the whole group.
    assert [line.get("request_id") for line in lines] == [None, "request of bob"]
