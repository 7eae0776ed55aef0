"""Admission: the part of a handshake that asks the databases, for clients who arrive together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.realtime.presence import Entered, presence_store
from apps.realtime.registry import Authenticated, SocketAuthenticator
from apps.realtime.sockets import PresenceEntry


@dataclass(frozen=True, slots=True)
class Candidate:
    """A client who asks for a socket."""

    scope: Mapping[str, Any]
    socket_id: str


@dataclass(frozen=True, slots=True)
class Admission:
    """A client who is authenticated: their socket, what became of it in the store of presence,
    and the user as they are shown to themselves."""

    entry: PresenceEntry
    entered: Entered
    user: Mapping[str, Any]


def admit(
    authenticator: SocketAuthenticator, candidates: Sequence[Candidate], *, wait: bool = False
) -> list[Admission | Exception]:
    """Return the outcome of each candidate: the admission, or why there is none. See
    SocketAuthenticator.authenticate for `wait`."""
    outcomes = authenticator.authenticate([one.scope for one in candidates], wait=wait)
    entries = [
        PresenceEntry(outcome.identity.user_id, outcome.identity.session_id, one.socket_id)
        for one, outcome in zip(candidates, outcomes, strict=True)
        if isinstance(outcome, Authenticated)
    ]
    entered = zip(entries, presence_store().arrive(entries), strict=True)
    return [
        Admission(*next(entered), user=outcome.user)
        if isinstance(outcome, Authenticated)
        else outcome
        for outcome in outcomes
    ]
