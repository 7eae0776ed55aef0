"""Messages that wait in a process at one moment are committed together.

A commit costs about the same for one message as for a hundred. While one group is being committed
the next one gathers; each sender is answered when his own is safe.
"""

import asyncio
from collections.abc import Sequence

from apps.chat.services import Draft, Sent, messages_send
from apps.core.errors import DomainError
from apps.core.ratelimit import action_refusals
from apps.realtime.threads import in_thread

LARGEST_GROUP = 200

_waiting: list[tuple[Draft, "asyncio.Future[Sent]"]] = []
_committing: "asyncio.Task[None] | None" = None


async def message_send_grouped(draft: Draft) -> Sent:
    """Send a message with those that wait beside it; raises what message_send() raises."""
    global _committing
    outcome: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
    _waiting.append((draft, outcome))
    if _committing is None or _committing.done():
        _committing = asyncio.get_running_loop().create_task(_commit_groups())
    return await outcome


async def _commit_groups() -> None:
    while _waiting:
        group = _waiting[:LARGEST_GROUP]
        del _waiting[:LARGEST_GROUP]
        try:
            outcomes = await in_thread(_send_within_limits, [draft for draft, _ in group])
        except Exception as error:  # noqa: BLE001
            for _, future in group:
                _settle(future, error)
        else:
            for (_, future), outcome in zip(group, outcomes, strict=True):
                _settle(future, outcome)


def _send_within_limits(drafts: Sequence[Draft]) -> list[Sent | DomainError]:
    """Send those whose senders may still send; in one thread hop and one look into Redis."""
    refusals = action_refusals("send_message", [draft.sender_id for draft in drafts])
    allowed = [draft for draft, refusal in zip(drafts, refusals, strict=True) if refusal is None]
    sent = iter(messages_send(allowed))
    return [next(sent) if refusal is None else refusal for refusal in refusals]


def _settle(future: "asyncio.Future[Sent]", outcome: Sent | Exception) -> None:
    # A sender that was cut off meanwhile does not wait for his answer any more.
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
