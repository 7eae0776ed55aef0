"""Messages that wait in a process at one moment are committed together.

A commit costs about the same for one message as for a hundred. While one group is being committed
the next one gathers; each sender is answered when their own message is safe. What is wrong with one
message must not cost the others theirs: a group that fails is tried again one by one.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from django.db import InterfaceError, OperationalError

from apps.chat.errors import TooManyWaiting
from apps.chat.services import Draft, Sent, messages_send
from apps.core.db.failures import hit_lock_timeout, known_rolled_back
from apps.core.db.sql import lock_timeout
from apps.core.errors import DomainError
from apps.core.http.handler import as_domain_error
from apps.core.ratelimit import action_refusals
from apps.realtime.threads import in_thread

LARGEST_GROUP = 200
# Ten groups: who comes later would wait too long for a database that is that slow.
MOST_WAITING = 2_000
# How many of the messages that are tried one by one may fail with the database itself, each perhaps
# after a time-out, until the rest is refused untried.
MOST_FAILURES = 3

# How many milliseconds a group waits for what somebody has locked. All who wait behind it wait as
# long, so it is little more than the transactions of a busy server take.
LONGEST_LOCK = 300

Outcome = Sent | DomainError

_waiting: list[tuple[Draft, "asyncio.Future[Sent]"]] = []
_committing: "asyncio.Task[None] | None" = None


async def message_send_grouped(draft: Draft) -> Sent:
    """Send a message with those that wait beside it; raises what message_send() raises, and
    TooManyWaiting."""
    global _committing
    if len(_waiting) >= MOST_WAITING:
        raise TooManyWaiting
    outcome: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
    _waiting.append((draft, outcome))
    if _committing is None or _committing.done():
        _committing = asyncio.get_running_loop().create_task(_commit_groups())
    return await outcome


async def _commit_groups() -> None:
    while _waiting:
        # Whoever was cut off while they waited is not told of their message any more, and so it
        # is not sent.
        group = [one for one in _waiting[:LARGEST_GROUP] if not one[1].done()]
        del _waiting[:LARGEST_GROUP]
        try:
            outcomes = await in_thread(_send_within_limits, [draft for draft, _ in group])
        except Exception as error:  # noqa: BLE001
            outcomes = [as_domain_error(error)] * len(group)
        for (_, future), outcome in zip(group, outcomes, strict=True):
            _settle(future, outcome)


def _send_within_limits(drafts: Sequence[Draft]) -> list[Outcome]:
    """Send those whose senders may still send; in one thread hop and one look into Redis."""
    refusals = action_refusals("send_message", [draft.sender_id for draft in drafts])
    allowed = [draft for draft, refusal in zip(drafts, refusals, strict=True) if refusal is None]
    sent = iter(_send(allowed))
    return [next(sent) if refusal is None else refusal for refusal in refusals]


def _send(drafts: Sequence[Draft]) -> list[Outcome]:
    """Send a group in one transaction or, where that fails, its messages one by one.

    Unless it may have been committed all the same: some would be sent twice.
    """
    with lock_timeout(LONGEST_LOCK):
        try:
            return messages_send(drafts)
        except Exception as error:  # noqa: BLE001
            refusal = as_domain_error(error)
            if not known_rolled_back(error):
                return [refusal] * len(drafts)
        return _send_one_by_one(drafts)


def _send_one_by_one(drafts: Sequence[Draft]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    failures: list[DomainError] = []
    locked = Locked()
    for draft in drafts:
        if failures and (len(failures) == MOST_FAILURES or locked.concerns(draft)):
            outcomes.append(failures[-1])
            continue
        try:
            outcomes += messages_send([draft])
        except Exception as error:  # noqa: BLE001
            refusal = as_domain_error(error)
            outcomes.append(refusal)
            if isinstance(error, OperationalError | InterfaceError):
                failures.append(refusal)
            if hit_lock_timeout(error):
                locked.note(draft)
    return outcomes


class Locked:
    """What of a group was found locked, so that nobody waits for it a second time: conversations,
    and people of whom two were."""

    def __init__(self) -> None:
        self._places: set[frozenset[UUID | None]] = set()
        self._people: Counter[UUID | None] = Counter()

    def note(self, draft: Draft) -> None:
        """Note that the draft waited in vain."""
        self._places.add(_place(draft))
        self._people.update(_place(draft))

    def concerns(self, draft: Draft) -> bool:
        """Return whether the draft would wait in vain as well."""
        place = _place(draft)
        return place in self._places or any(self._people[one] > 1 for one in place)


def _place(draft: Draft) -> frozenset[UUID | None]:
    """Return what the draft needs to itself: its two people, or its group."""
    if draft.conversation_id is not None:
        return frozenset((draft.conversation_id,))
    return frozenset((draft.sender_id, draft.receiver_id))


def _settle(future: "asyncio.Future[Sent]", outcome: Outcome) -> None:
    # A sender that was cut off meanwhile does not wait for an answer any more.
    if future.done():
        return
    if isinstance(outcome, DomainError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
