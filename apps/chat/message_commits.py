"""Messages that wait in a process at one moment are sent in one transaction."""

from collections.abc import Hashable, Sequence
from typing import Any

from apps.accounts.models import User
from apps.chat.errors import TooManyWaiting
from apps.chat.models import Message
from apps.chat.services import Draft, Sent, messages_send
from apps.core.errors import DomainError
from apps.core.ratelimit import action_refusals
from apps.realtime.group_commit import GroupCommit, one_per_loop


async def message_send_grouped(draft: Draft) -> Sent:
    """Send a message with those that wait at the same moment; raise what message_send() raises,
    RateLimited or TooManyWaiting."""
    return await message_commits().submit(draft)


async def message_create_grouped(actor: User, **given: Any) -> tuple[Message, bool]:
    """Send a message of a request with those that wait at the same moment, and return it and
    whether it is new; raise what message_send_grouped() raises."""
    sent = await message_send_grouped(Draft(sender_id=actor.pk, **given))
    return sent.message, sent.created


@one_per_loop
def message_commits() -> GroupCommit[Draft, Sent]:
    """Return the messages that wait in this process."""
    return GroupCommit(
        commit=messages_send,
        refusals_of=_refusals_of,
        owner_of=lambda draft: draft.sender_id,
        locks_of=_locks_of,
        too_many=TooManyWaiting,
    )


def _refusals_of(drafts: Sequence[Draft]) -> Sequence[DomainError | None]:
    """Count one message of each sender, in one request to Redis, and refuse those above the
    limit."""
    return action_refusals("send_message", [draft.sender_id for draft in drafts])


def _locks_of(draft: Draft) -> frozenset[Hashable]:
    """Return the group that a message locks, or its sender and receiver."""
    if draft.conversation_id is not None:
        return frozenset((draft.conversation_id,))
    return frozenset((draft.sender_id, draft.receiver_id))
