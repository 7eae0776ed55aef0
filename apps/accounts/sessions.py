"""Writes of sessions: beginning, refreshing and ending them. The lock order is in locks.py."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import OperationalError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework_simplejwt.settings import api_settings

from apps.accounts.errors import InvalidToken, MayNotEndSession, SessionNotFound, SessionOver
from apps.accounts.locks import sessions_locked, users_locked
from apps.accounts.models import Session, User, WebsocketTicket, session_tag
from apps.accounts.policies import may_end_session, owns
from apps.accounts.selectors import active_sessions
from apps.accounts.tokens import TokenPair, issue_pair, new_jti, read_refresh
from apps.core.addresses import network_of
from apps.core.db.sql import nowait_locks
from apps.core.errors import require
from apps.core.kept import drop_when_committed
from apps.core.trace import trace
from apps.realtime.hub import sessions_close

# How long the server still answers a used refresh token, to the device that used it.
REFRESH_GRACE = timedelta(seconds=10)
# The server writes a session's last use at most this often, so that reads stay reads.
TOUCH_INTERVAL = timedelta(minutes=5)


@dataclass(frozen=True)
class Device:
    """The client that logs in or refreshes its session."""

    address: str
    user_agent: str

    @property
    def columns(self) -> dict[str, str]:
        """Return the device as columns of a session."""
        return {"address": self.address[:64], "user_agent": self.user_agent[:255]}

    def matches(self, session: Session) -> bool:
        """Return whether this device began or last refreshed the session: the same program in the
        same network. A client may change its address within its network between two calls."""
        return self.user_agent[:255] == session.user_agent and (
            network_of(self.address) == network_of(session.address)
        )


@dataclass(frozen=True)
class Login:
    """A user, and the tokens of the session that was begun or refreshed."""

    user: User
    tokens: TokenPair

    @classmethod
    def of(cls, session: Session) -> "Login":
        """Return the session's user and its tokens."""
        return cls(session.user, issue_pair(session))


def session_begin(user: User, device: Device) -> Session:
    """Begin a session of an API client or of the admin's pages. The caller holds the user's lock,
    or has just created the user."""
    session = Session(
        user=user,
        refresh_jti=new_jti(),
        expires_at=timezone.now() + api_settings.REFRESH_TOKEN_LIFETIME,
        **device.columns,
    )
    session.save(force_insert=True)
    return session


def session_refresh(*, refresh_token: str, device: Device) -> Login:
    """Exchange a refresh token for a new pair; raise InvalidToken or SessionOver.

    The first request with a token uses it. A request that repeats it from the same device within
    REFRESH_GRACE gets the same pair again: it lost a race, or the response was lost. Any other
    request with a used token means that somebody stole the token, so the session ends
    (docs/decisions/0006-refresh-race.md).
    """
    claims = read_refresh(refresh_token)
    # Only the database's clock decides, because the clocks of several machines never agree.
    in_grace = Q(refreshed_at__gt=Now() - REFRESH_GRACE)
    locked = active_sessions().select_related("user").select_for_update(of=("self",))
    with transaction.atomic():
        session = locked.annotate(in_grace=in_grace).filter(pk=claims.session_id).first()
        if session is None:
            raise SessionOver
        if claims.jti == session.refresh_jti:
            return _rotate(session, device)
        lost_a_race = claims.jti == session.previous_jti and session.in_grace
        if lost_a_race and device.matches(session):
            return Login.of(session)
        locked_sessions_end([session.pk])
    raise InvalidToken


def sessions_touch(sessions: Iterable[Session]) -> None:
    """Write that the sessions are in use, except where that was written within TOUCH_INTERVAL. This
    is an action of the system, without an actor.

    A session whose row is locked is passed over, and so are all of them if on SQLite the database
    is: no read waits, and a later request writes it.
    """
    unwritten = {session.pk: session for session in sessions if needs_touch(session)}
    if not unwritten:
        return
    rows = Session.objects.filter(pk__in=unwritten)
    with suppress(OperationalError), nowait_locks(), transaction.atomic():
        now = timezone.now()
        free = rows.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True)
        touched = list(free)
        Session.objects.filter(pk__in=touched).update(last_used_at=now)
        for pk in touched:
            unwritten[pk].last_used_at = now


def needs_touch(session: Session) -> bool:
    """Return whether sessions_touch() would write."""
    return timezone.now() - session.last_used_at > TOUCH_INTERVAL


@transaction.atomic
def session_logout(actor: User, *, session: Session) -> None:
    """End the actor's session, whose tokens and sockets stop working at once; raise
    SessionNotFound."""
    require(owns(actor, session), SessionNotFound)
    sessions_end(Session.objects.filter(pk=session.pk))


@transaction.atomic
def session_end(actor: User, *, session_id: UUID) -> None:
    """End one of the actor's sessions; raise SessionNotFound."""
    if not sessions_end(active_sessions().filter(user=actor, pk=session_id)):
        raise SessionNotFound


@transaction.atomic
def session_end_by_moderator(actor: User, *, session: Session) -> None:
    """End a session of any user, and trace it; raise MayNotEndSession, or SessionNotFound if it is
    over."""
    actor, user = users_locked(actor.pk, session.user_id)
    require(may_end_session(actor, user), MayNotEndSession)
    if not sessions_end(active_sessions().filter(pk=session.pk)):
        raise SessionNotFound
    trace(actor, user, session=(f"active on {session.device}", "ended"))


def sessions_end(sessions: QuerySet[Session]) -> Sequence[UUID]:
    """End the sessions and return their ids. Their sockets close after the commit."""
    ids = sessions_locked(sessions)
    locked_sessions_end(ids)
    return ids


def locked_sessions_end(ids: Sequence[UUID]) -> None:
    """End sessions whose rows the caller has locked. Their sockets close after the commit."""
    Session.objects.filter(pk__in=ids).update(ended_at=timezone.now())
    drop_when_committed(*map(session_tag, ids))
    transaction.on_commit(partial(sessions_close, ids), robust=True)


def sessions_end_restored(made_at: datetime) -> int:
    """End all sessions of a restored database and return how many; no ticket is good either. This
    is an action of the system, without an actor.

    The backup does not know who logged out since, whose device was stolen, and which refresh tokens
    were used.
    """
    WebsocketTicket.objects.all().delete()
    return Session.objects.filter(ended_at=None).update(ended_at=timezone.now())


def _rotate(session: Session, device: Device) -> Login:
    session.previous_jti, session.refresh_jti = session.refresh_jti, new_jti()
    session.last_used_at = timezone.now()
    session.expires_at = session.last_used_at + api_settings.REFRESH_TOKEN_LIFETIME
    rotated = ("previous_jti", "refresh_jti", "last_used_at", "expires_at")
    Session.objects.filter(pk=session.pk).update(
        **{name: getattr(session, name) for name in rotated}, **device.columns, refreshed_at=Now()
    )
    return Login.of(session)
