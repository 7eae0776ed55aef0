"""Writes of accounts. Lock order: a user's row, then their sessions' rows by id.

Nothing here hashes a password inside a transaction; logins.py holds what begins a session.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from rest_framework_simplejwt.settings import api_settings

from apps.accounts import passwords
from apps.accounts.errors import (
    InvalidToken,
    NothingToChange,
    SessionNotFound,
    SessionOver,
    UserNotFound,
    WrongPassword,
)
from apps.accounts.models import Session, User, WebsocketTicket
from apps.accounts.selectors import living_sessions, session_living
from apps.accounts.tokens import TokenPair, issue_pair, read_refresh
from apps.core.conditional import require_match
from apps.realtime.hub import sessions_close

TICKET_SECONDS = 30
# A session is marked as used at most this often, so that reads stay reads.
USE_NOTED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True)
class Device:
    """Where a login comes from."""

    address: str
    user_agent: str


@dataclass(frozen=True)
class PasswordChange:
    """A change of password whose slow part is done: the hash that the present password was compared
    with, and that of the new one."""

    compared_with: str
    new_hash: str


@dataclass(frozen=True)
class Login:
    """A person, and the tokens of the session that was begun or prolonged."""

    user: User
    tokens: TokenPair


def session_refresh(*, refresh_token: str, arrived: datetime) -> Login:
    """Exchange a refresh token for a new pair. Of those who bring the same token one wins.

    Who comes with a spent token after the winner has been answered has a stolen one, or was
    stolen from: the session ends. Who was already on his way by then (`arrived` is when his
    request did) has merely lost a race, and is refused without harm to the session.
    """
    claims = read_refresh(refresh_token)
    with transaction.atomic():
        session = living_sessions().select_related("user").filter(pk=claims.session_id).first()
        if session is None:
            raise SessionOver
        tokens = issue_pair(session)
        now = timezone.now()
        won = Session.objects.filter(pk=session.pk, refresh_jti=claims.jti, ended_at=None).update(
            refresh_jti=tokens.refresh_jti,
            refreshed_at=now,
            last_used_at=now,
            expires_at=now + api_settings.REFRESH_TOKEN_LIFETIME,
        )
        if won:
            return Login(session.user, tokens)
        session.refresh_from_db(fields=["refreshed_at"])
        if arrived > session.refreshed_at:
            _sessions_end(Session.objects.filter(pk=session.pk))
    raise InvalidToken


def session_note_use(session: Session) -> None:
    """Note that the session is in use, unless that was noted a moment ago."""
    now = timezone.now()
    if now - session.last_used_at > USE_NOTED_EVERY:
        Session.objects.filter(pk=session.pk).update(last_used_at=now)


@transaction.atomic
def session_logout(*, session: Session) -> None:
    """End the session: its tokens and sockets are dead at once."""
    _sessions_end(Session.objects.filter(pk=session.pk))


@transaction.atomic
def session_end(*, user: User, session_id: UUID) -> None:
    """End one of the person's own sessions; raise SessionNotFound."""
    if not _sessions_end(living_sessions().filter(user=user, pk=session_id)):
        raise SessionNotFound


@transaction.atomic
def profile_update(
    *, user: User, name: str | None = None, bio: str | None = None, if_match: str = ""
) -> User:
    """Change what is given of the person's profile; raise NothingToChange or PreconditionFailed."""
    changes = {key: value for key, value in (("name", name), ("bio", bio)) if value is not None}
    if not changes:
        raise NothingToChange
    locked = user_locked(user.pk)
    require_match(if_match, str(locked.version))
    for key, value in changes.items():
        setattr(locked, key, value)
    locked.version += 1
    locked.save(update_fields=[*changes, "version", "updated_at"])
    return locked


def password_change_prepare(
    *, user: User, current_password: str, new_password: str
) -> PasswordChange:
    """Do the slow part of a change of password, outside of any transaction; raise WrongPassword or
    Invalid."""
    if not passwords.verify(current_password, user.password).right:
        raise WrongPassword.current()
    passwords.require_good(new_password, user, "newPassword")
    return PasswordChange(user.password, passwords.hashed(new_password))


@transaction.atomic
def password_change(*, session: Session, change: PasswordChange) -> None:
    """Change the password and end every other session of the person.

    Raises WrongPassword if it was changed since the present one was compared, and SessionOver if
    this session has ended since: whoever was just shut out must not shut the others out.
    """
    user = user_locked(session.user_id)
    if user.password != change.compared_with:
        raise WrongPassword.current()
    living = _locked(living_sessions().filter(user=user))
    if session.pk not in living:
        raise SessionOver
    user.password = change.new_hash
    user.save(update_fields=["password", "updated_at"])
    _end([other for other in living if other != session.pk])


@transaction.atomic
def user_set_status(*, user: User, status: str) -> None:
    """Let a person in or shut them out; who is shut out is out at once, on every device."""
    locked = user_locked(user.pk)
    locked.status = status
    locked.version = F("version") + 1
    locked.save(update_fields=["status", "version", "updated_at"])
    if status != User.Status.ACTIVE:
        _sessions_end(Session.objects.filter(user=locked, ended_at=None))


def ticket_issue(*, session: Session) -> str:
    """Return a ticket that opens one websocket within TICKET_SECONDS."""
    ticket = secrets.token_urlsafe(32)
    WebsocketTicket.objects.create(
        digest=_digest(ticket),
        session=session,
        expires_at=timezone.now() + timedelta(seconds=TICKET_SECONDS),
    )
    return ticket


@transaction.atomic
def ticket_redeem(*, ticket: str) -> Session:
    """Return the session of a ticket and use it up; raise InvalidToken or SessionOver."""
    found = WebsocketTicket.objects.filter(
        digest=_digest(ticket), expires_at__gt=timezone.now()
    ).first()
    # Of those who bring the same ticket at once only one deletes the row.
    if found is None or not WebsocketTicket.objects.filter(pk=found.pk).delete()[0]:
        raise InvalidToken
    return session_living(found.session_id)


def accounts_prune() -> int:
    """Delete tickets and sessions that are over for good and return how many there were."""
    now = timezone.now()
    tickets = WebsocketTicket.objects.filter(expires_at__lt=now).delete()[0]
    return tickets + Session.objects.filter(expires_at__lt=now).delete()[0]


def user_locked(user_id: UUID) -> User:
    """Return a person under their lock, for the rest of the transaction; raise UserNotFound.

    No key of the row is ever changed, so that messages, whose rows refer to it, need not wait.
    """
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if user is None:
        raise UserNotFound
    return user


def session_begin(user: User, device: Device) -> Login:
    """Begin a session. The caller holds the user's lock, or has just made them."""
    session = Session(
        user=user,
        address=device.address[:64],
        user_agent=device.user_agent[:255],
        expires_at=timezone.now() + api_settings.REFRESH_TOKEN_LIFETIME,
    )
    tokens = issue_pair(session)
    session.refresh_jti = tokens.refresh_jti
    session.save(force_insert=True)
    return Login(user, tokens)


def _sessions_end(sessions: QuerySet[Session]) -> Sequence[UUID]:
    ids = _locked(sessions)
    _end(ids)
    return ids


def _locked(sessions: QuerySet[Session]) -> Sequence[UUID]:
    # Of the user whom some of these querysets join no lock is taken: theirs comes before these.
    locked = sessions.order_by("pk").select_for_update(of=("self",)).only("pk")
    return [session.pk for session in locked]


def _end(ids: Sequence[UUID]) -> None:
    Session.objects.filter(pk__in=ids).update(ended_at=timezone.now())
    transaction.on_commit(partial(sessions_close, ids), robust=True)


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
