"""Messages that have no outcome yet. Each keeps its client id until it has one, so that the server
stores it once, however often it is sent."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

from parley_client.errors import RateLimited, Refused, Unauthorized
from parley_client.journal import Entry
from parley_client.log import note


@dataclass(frozen=True)
class Message:
    """A message as the server stored it; `data` has all of its fields, as they are on the wire."""

    id: str
    conversation_id: str
    seq: int
    sender_id: str
    receiver_id: str | None
    content: str
    client_id: str | None
    created_at: str
    data: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Return the message of an `ack`, an event or a response."""
        return cls(
            id=data["id"],
            conversation_id=data["conversationId"],
            seq=data["seq"],
            sender_id=data["senderId"],
            receiver_id=data["receiverId"],
            content=data["content"],
            client_id=data["clientId"],
            created_at=data["createdAt"],
            data=data,
        )


# Refusals that the server gives before it looks whether the message is stored already.
SAYS_NOTHING = (RateLimited, Unauthorized)


class _State(Enum):
    WAITING = "to be sent"
    UNDER_WAY = "sent, and not answered"
    DELAYED = "to be sent a moment later"


@dataclass(eq=False)
class Draft:
    """A message without an outcome. It is `doubtful` if an earlier attempt may have stored it."""

    entry: Entry
    outcome: "asyncio.Future[Message]"
    attempts: int = 0
    doubtful: bool = False
    state: _State = _State.WAITING

    @property
    def client_id(self) -> str:
        """Return the id that the client chose."""
        client_id: str = self.entry["clientId"]
        return client_id


class Pending:
    """All drafts, in the order in which they are sent. `work` is set when there is one to send."""

    def __init__(self, work: asyncio.Event) -> None:
        self._drafts: dict[str, Draft] = {}
        self._work = work

    def add(self, entry: Entry) -> Draft:
        """Add a message to send, or return the one that has its client id already."""
        known = self._drafts.get(entry["clientId"])
        if known is not None:
            return known
        draft = Draft(entry, asyncio.get_running_loop().create_future())
        # Nobody may wait for the outcome, such as that of a message of an earlier program.
        draft.outcome.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._drafts[draft.client_id] = draft
        self._work.set()
        return draft

    def outcomes(self) -> "dict[str, asyncio.Future[Message]]":
        """Return the outcomes that are still to come, by client id."""
        return {client_id: draft.outcome for client_id, draft in self._drafts.items()}

    @property
    def has_waiting(self) -> bool:
        """Return whether there is a draft to send now."""
        return any(draft.state is _State.WAITING for draft in self._drafts.values())

    def next(self) -> Draft | None:
        """Return the first draft that is to be sent now, which is under way from then on."""
        for draft in self._drafts.values():
            if draft.state is _State.WAITING:
                draft.state = _State.UNDER_WAY
                draft.attempts += 1
                note("message sent", client_id=draft.client_id, attempt=draft.attempts)
                return draft
        return None

    def acknowledged(self, client_id: str, message: Message) -> None:
        """Give a draft its message. A second acknowledgement of the same draft changes nothing."""
        draft = self._drafts.pop(client_id, None)
        if draft is not None:
            note(
                "message acknowledged",
                client_id=client_id,
                message_id=message.id,
                seq=message.seq,
                attempts=draft.attempts,
            )
            if not draft.outcome.done():
                draft.outcome.set_result(message)

    def refused(self, client_id: str, refusal: Refused) -> bool:
        """Give a draft its refusal, unless the refusal passes by itself; return whether it was
        final.

        A limit, or a session that ended, is final only if no earlier attempt may have stored the
        message: it does not say that nothing was stored.
        """
        draft = self._drafts.get(client_id)
        if draft is None:
            return True
        if draft.doubtful if isinstance(refusal, SAYS_NOTHING) else refusal.transient:
            draft.state = _State.DELAYED
            note("message delayed", client_id=client_id, code=refusal.code)
            return False
        del self._drafts[client_id]
        note("message refused", client_id=client_id, code=refusal.code, attempts=draft.attempts)
        if not draft.outcome.done():
            draft.outcome.set_exception(refusal)
        return True

    def again(self, client_id: str) -> None:
        """Send a delayed draft now."""
        draft = self._drafts.get(client_id)
        if draft is not None and draft.state is _State.DELAYED:
            draft.state = _State.WAITING
            self._work.set()

    def connection_lost(self) -> None:
        """Learn that what is under way will not be answered: it is sent again."""
        for draft in self._drafts.values():
            if draft.state is _State.UNDER_WAY:
                draft.doubtful = True
                note("message doubtful", client_id=draft.client_id, level=logging.WARNING)
            draft.state = _State.WAITING
        self._work.set()

    def stop(self, reason: Callable[[], Exception]) -> None:
        """Give every draft the reason why the client ended; the journal keeps them."""
        for draft in self._drafts.values():
            if not draft.outcome.done():
                draft.outcome.set_exception(reason())
        self._drafts.clear()
