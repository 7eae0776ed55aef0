"""Writes of websocket tickets. A ticket opens one websocket in the session that it was issued to.

Tickets are locked by expiry and digest, with no other lock held.
"""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.errors import InvalidToken, SessionNotFound, SessionOver
from apps.accounts.models import Session, User, WebsocketTicket
from apps.accounts.policies import owns
from apps.accounts.selectors import sessions_with_users
from apps.core.errors import DomainError, require
from apps.realtime.registry import MustWait

TICKET_SECONDS = 30
# How many unused tickets a session may have.
MAX_TICKETS = 10


def ticket_issue(actor: User, *, session: Session) -> str:
    """Return a ticket that opens one websocket in the actor's session within TICKET_SECONDS; raise
    SessionNotFound. Of the session's unused tickets only the latest MAX_TICKETS stay valid."""
    require(owns(actor, session), SessionNotFound)
    ticket = secrets.token_urlsafe(32)
    WebsocketTicket.objects.create(
        digest=_digest(ticket),
        session=session,
        expires_at=timezone.now() + timedelta(seconds=TICKET_SECONDS),
    )
    # The ticket is committed before this, unless the caller has opened a transaction: when several
    # requests issue tickets at once, the last one to count sees all of them. All lock the rows in
    # the same order, so that no two wait for each other.
    with transaction.atomic():
        of_session = WebsocketTicket.objects.filter(session=session).select_for_update()
        surplus = of_session.order_by("-expires_at", "digest")[MAX_TICKETS:]
        WebsocketTicket.objects.filter(pk__in=surplus.values("pk")).delete()
    return ticket


def tickets_redeem(
    tickets: Sequence[str], *, wait: bool = True
) -> list[Session | DomainError | MustWait]:
    """Delete tickets and return for each its session, or InvalidToken or SessionOver. Unless it is
    told to `wait`, a ticket that another transaction has locked stays, and is MustWait. There is no
    actor, because only the ticket tells who the user is."""
    if not tickets:
        return []
    digests = [_digest(ticket) for ticket in tickets]
    # Any client may send any ticket. On SQLite a transaction would block every other writer, even
    # if no ticket exists, so a SELECT comes first.
    valid = WebsocketTicket.objects.filter(digest__in=digests, expires_at__gt=timezone.now())
    found: dict[str, UUID] = dict(valid.values_list("digest", "session_id"))
    redeemed = _delete(found, wait) if found else set()
    ids = {found[digest] for digest in redeemed}
    sessions = {one.pk: one for one in sessions_with_users(ids)} if ids else {}

    def outcome(digest: str) -> Session | DomainError | MustWait:
        if digest in redeemed:
            # The same ticket may have been sent twice.
            redeemed.discard(digest)
            return sessions.get(found[digest]) or SessionOver()
        return InvalidToken() if wait or digest not in found else MustWait()

    return [outcome(digest) for digest in digests]


def _delete(digests: Collection[str], wait: bool) -> set[str]:
    """Delete the rows with these digests and return which of them this transaction has deleted:
    when several redeem a ticket at once, only one of them has it."""
    with transaction.atomic():
        rows = WebsocketTicket.objects.filter(digest__in=digests)
        locked = rows.order_by("expires_at", "digest").select_for_update(skip_locked=not wait)
        deleted = set(locked.values_list("digest", flat=True))
        WebsocketTicket.objects.filter(digest__in=deleted).delete()
    return deleted


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
