"""Writes of websocket tickets. A ticket opens one websocket in the session that it was issued to.

Tickets are locked by expiry and digest, with no other lock held.
"""

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apps.accounts.errors import InvalidToken, SessionNotFound
from apps.accounts.models import Session, User, WebsocketTicket
from apps.accounts.policies import owns
from apps.accounts.selectors import session_active
from apps.core.errors import require

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


def ticket_redeem(*, ticket: str) -> Session:
    """Delete a ticket and return its session; raise InvalidToken or SessionOver. There is no
    actor, because only the ticket tells who the user is."""
    # Any client may send any ticket. On SQLite a transaction, or the DELETE of a ticket that does
    # not exist, would block every other writer, so a SELECT comes first.
    found = WebsocketTicket.objects.filter(
        digest=_digest(ticket), expires_at__gt=timezone.now()
    ).first()
    # When several requests redeem the same ticket at once, only one of them deletes the row.
    if found is None or not WebsocketTicket.objects.filter(pk=found.pk).delete()[0]:
        raise InvalidToken
    return session_active(found.session_id)


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
