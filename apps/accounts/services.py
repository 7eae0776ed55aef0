"""Writes of accounts. Lock order: a user's row, then his sessions' rows by id."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from rest_framework_simplejwt.settings import api_settings

from apps.accounts.errors import (
    EmailTaken,
    InvalidCredentials,
    InvalidToken,
    NothingToChange,
    SessionNotFound,
    SessionOver,
    WrongPassword,
)
from apps.accounts.models import Session, User, WebsocketTicket
from apps.accounts.selectors import living_sessions, session_living
from apps.accounts.tokens import TokenPair, issue_pair, read_refresh
from apps.core.conditional import require_match
from apps.core.errors import FieldError, Invalid
from apps.core.ratelimit import spend_action
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
class Login:
    """A person, and the tokens of the session that was begun or prolonged."""

    user: User
    tokens: TokenPair


@transaction.atomic
def user_register(*, name: str, email: str, password: str, device: Device) -> Login:
    """Make a user and log him in; raise EmailTaken, or Invalid for a password that is too weak."""
    user = User(name=name, email=email)
    _require_good_password(password, user, "password")
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        raise EmailTaken from error
    return _session_begin(user, device)


def user_login(*, email: str, password: str, device: Device) -> Login:
    """Begin a session; raise InvalidCredentials, alike and after the same time for an unknown
    address, a wrong password and a disabled user."""
    spend_action("login", f"{email} {device.address}")
    spend_action("login_account", email)
    user = User.objects.filter(email=email).first()
    if user is None:
        # The hasher's time would otherwise tell which addresses are known.
        make_password(password)
        raise InvalidCredentials
    if not user.check_password(password) or not user.is_active:
        raise InvalidCredentials
    with transaction.atomic():
        return _session_begin(user, device)


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
    locked = User.objects.select_for_update().get(pk=user.pk)
    require_match(if_match, str(locked.version))
    for key, value in changes.items():
        setattr(locked, key, value)
    locked.version += 1
    locked.save(update_fields=[*changes, "version", "updated_at"])
    return locked


@transaction.atomic
def password_change(*, session: Session, current_password: str, new_password: str) -> None:
    """Change the password and end every other session of the person; raise WrongPassword or
    Invalid."""
    user = User.objects.select_for_update().get(pk=session.user_id)
    if not user.check_password(current_password):
        raise WrongPassword.current()
    _require_good_password(new_password, user, "newPassword")
    user.set_password(new_password)
    user.save(update_fields=["password", "updated_at"])
    _sessions_end(living_sessions().filter(user=user).exclude(pk=session.pk))


@transaction.atomic
def user_set_status(*, user: User, status: str) -> None:
    """Let a person in or shut him out; who is shut out is out at once, on every device."""
    locked = User.objects.select_for_update().get(pk=user.pk)
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


def _session_begin(user: User, device: Device) -> Login:
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


def _sessions_end(sessions: QuerySet[Session]) -> Iterable[UUID]:
    # Of the user whom some of these querysets join no lock is taken: his comes before these.
    locked = sessions.order_by("pk").select_for_update(of=("self",)).only("pk")
    ids = [session.pk for session in locked]
    Session.objects.filter(pk__in=ids).update(ended_at=timezone.now())
    transaction.on_commit(partial(sessions_close, ids), robust=True)
    return ids


def _require_good_password(password: str, user: User, field: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(
            errors=[
                FieldError(field, str(one.message % (one.params or {})), one.code or "invalid")
                for one in error.error_list
            ]
        ) from error


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
