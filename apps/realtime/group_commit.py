"""Group commit: what waits in a process at one moment is committed together.

A commit costs about the same for one item as for a hundred. While one group is being committed the
next one gathers, and each item is answered when it is safe. A fault of one item must not cost the
others theirs: a group that fails is committed again item by item.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from contextvars import Context, copy_context
from functools import wraps
from typing import Generic, TypeVar

from django.db import InterfaceError, OperationalError

from apps.core.db.failures import hit_lock_timeout, known_rolled_back
from apps.core.db.sql import lock_timeout
from apps.core.errors import DomainError, ServiceUnavailable
from apps.core.http.handler import as_domain_error
from apps.core.waiting import Waiting
from apps.realtime.threads import in_thread

LARGEST_GROUP = 200
# How many items of one owner a group has at most. Who comes next waits for the group that is being
# committed, so a flood by one user may not make it long.
LARGEST_SHARE = 20
# Ten groups: an item behind them would wait too long for a database that is that slow.
MOST_WAITING = 2_000
# How many items, tried one by one, may fail with the database itself until the rest is refused
# untried: each of them may have waited for a time-out.
MOST_FAILURES = 3
# How many milliseconds a group waits for a lock that another transaction holds. All items behind it
# wait as long, so it is little more than the transactions of a busy server take.
LONGEST_LOCK = 300
# How many milliseconds an item waits that is tried alone, since its group has waited already, and
# how many items may wait in vain for different locks until the rest is refused untried.
LONGEST_LOCK_ALONE = 100
MOST_LOCKED = 20

Item = TypeVar("Item")
Result = TypeVar("Result")

# An item, the context of its caller for the log, which says whose request or socket it is, and who
# waits for its result.
_Submitted = tuple[Item, Context, "asyncio.Future[Result]"]
LocksOf = Callable[[Item], frozenset[Hashable]]
Commit = Callable[[Sequence[Item]], Sequence[Result | DomainError]]
RefusalsOf = Callable[[Sequence[Item]], Sequence[DomainError | None]]


class GroupCommit(Generic[Item, Result]):
    """The items of one kind that wait in this process. It lives on the loop that it is made on.

    `commit` stores some items in one transaction, in a thread, and returns the outcome of each: its
    result, or why it is refused. `refusals_of` says before, in the same thread, which items are not
    to be committed at all. `owner_of` returns whose an item is: owners take turns. `locks_of`
    returns what an item needs to lock. `too_many` is raised when MOST_WAITING items wait already.
    """

    def __init__(
        self,
        *,
        commit: Commit[Item, Result],
        refusals_of: RefusalsOf[Item],
        owner_of: Callable[[Item], Hashable],
        locks_of: LocksOf[Item],
        too_many: type[DomainError],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._commit = commit
        self._refusals_of = refusals_of
        self._owner_of = owner_of
        self._locks_of = locks_of
        self._too_many = too_many
        self._waiting: Waiting[_Submitted[Item, Result]] = Waiting()
        self._committing: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Commit an item with those that wait at the same moment and return its result; raise why
        it was refused, or `too_many`."""
        if len(self._waiting) >= MOST_WAITING:
            raise self._too_many
        future: asyncio.Future[Result] = self.loop.create_future()
        self._waiting.add(self._owner_of(item), (item, copy_context(), future))
        if self._committing is None or self._committing.done():
            # An empty context: a group is not the work of the caller who came first.
            self._committing = self.loop.create_task(self._commit_waiting(), context=Context())
        return await future

    async def _commit_waiting(self) -> None:
        while self._waiting:
            # A caller that was cancelled while it waited gets no answer, so its item is dropped.
            taken = self._waiting.take(LARGEST_GROUP, LARGEST_SHARE)
            group = [one for one in taken if not one[2].done()]
            try:
                outcomes = await in_thread(
                    self._commit_group, [(item, context) for item, context, _ in group]
                )
            except Exception as error:  # noqa: BLE001
                outcomes = [as_domain_error(error)] * len(group)
            for (_, _, future), outcome in zip(group, outcomes, strict=True):
                _settle(future, outcome)

    def _commit_group(self, group: Sequence[tuple[Item, Context]]) -> list[Result | DomainError]:
        """Return the outcome of each item, in their order. Runs in a thread."""
        refusals = self._refusals_of([item for item, _ in group])
        admitted = [one for one, refusal in zip(group, refusals, strict=True) if refusal is None]
        with lock_timeout(LONGEST_LOCK):
            outcomes = iter(self._commit_together(admitted))
        return [next(outcomes) if refusal is None else refusal for refusal in refusals]

    def _commit_together(
        self, group: Sequence[tuple[Item, Context]]
    ) -> Sequence[Result | DomainError]:
        """Commit the items in one transaction or, if it fails, one by one.

        A transaction that may have been committed despite its error is not repeated: its items
        could be stored twice.
        """
        try:
            return self._commit([item for item, _ in group])
        except Exception as error:  # noqa: BLE001
            refusal = as_domain_error(error)
            if not known_rolled_back(error):
                return [refusal] * len(group)
        with lock_timeout(LONGEST_LOCK_ALONE):
            return self._commit_one_by_one(group)

    def _commit_one_by_one(
        self, group: Sequence[tuple[Item, Context]]
    ) -> list[Result | DomainError]:
        outcomes: list[Result | DomainError] = []
        failures, locked = 0, 0
        held = _HeldLocks()
        for item, context in group:
            locks = self._locks_of(item)
            if failures == MOST_FAILURES or locked == MOST_LOCKED or held.block(locks):
                outcomes.append(ServiceUnavailable())
                continue
            try:
                outcomes += self._commit([item])
            except Exception as error:  # noqa: BLE001
                outcomes.append(context.run(as_domain_error, error))
                if hit_lock_timeout(error):
                    locked += 1
                    held.add(locks)
                elif isinstance(error, OperationalError | InterfaceError):
                    failures += 1
        return outcomes


class _HeldLocks:
    """The locks that other transactions hold, so that no item waits for them a second time.

    The error of a lock time-out does not say which of an item's locks is held. A lock that two such
    items share is assumed to be held.
    """

    def __init__(self) -> None:
        self._sets: set[frozenset[Hashable]] = set()
        self._counts: Counter[Hashable] = Counter()

    def add(self, locks: frozenset[Hashable]) -> None:
        """Add the locks of an item that timed out."""
        self._sets.add(locks)
        self._counts.update(locks)

    def block(self, locks: frozenset[Hashable]) -> bool:
        """Return whether an item that needs these locks would time out as well."""
        return locks in self._sets or any(self._counts[lock] > 1 for lock in locks)


def _settle(future: "asyncio.Future[Result]", outcome: Result | DomainError) -> None:
    # A caller that was cancelled meanwhile does not wait for an answer any more.
    if future.done():
        return
    if isinstance(outcome, DomainError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def one_per_loop(
    make: Callable[[], GroupCommit[Item, Result]],
) -> Callable[[], GroupCommit[Item, Result]]:
    """Return a function that returns the group commit of the running loop, made the first time.

    This is the only state that outlives its callers, and it cannot be avoided: they are plain
    functions, and all of a process must find the same queue. A process has one loop. A new loop, as
    each test has, gets a queue of its own.
    """
    made: GroupCommit[Item, Result] | None = None

    @wraps(make)
    def of_running_loop() -> GroupCommit[Item, Result]:
        nonlocal made
        if made is None or made.loop is not asyncio.get_running_loop():
            made = make()
        return made

    return of_running_loop
