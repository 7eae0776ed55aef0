"""Writes of sessions: they begin, are prolonged, and end. Lock order: sessions' rows by id."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db import OperationalError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework_simplejwt.settings import api_settings

from apps.accounts.errors import InvalidToken, SessionNotFound, SessionOver
from apps.accounts.models import Session, User
from apps.accounts.policies import owns
from apps.accounts.selectors import active_sessions
from apps.accounts.tokens import TokenPair, issue_pair, new_jti, read_refresh
from apps.core.addresses import network_of
from apps.core.db.sql import nowait_locks
from apps.core.errors import require
from apps.realtime.hub import sessions_close

# How long a spent refresh token is still answered, to the device that spent it.
REFRESH_GRACE = timedelta(seconds=10)
# A session is marked as used at most this often, so that reads stay reads.
USE_NOTED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True)
class Device:
    """Where a login or a refresh comes from."""

    address: str
    user_agent: str

    @property
    def columns(self) -> dict[str, str]:
        """Return it as a session keeps it."""
        return {"address": self.address[:64], "user_agent": self.user_agent[:255]}

    def is_that_of(self, session: Session) -> bool:
        """Return whether the session was begun or last refreshed from here: by the same program in
        the same network. A client may change its address within that from one call to the next."""
        return self.user_agent[:255] == session.user_agent and (
            network_of(self.address) == network_of(session.address)
        )


@dataclass(frozen=True)
class Login:
    """A person, and the tokens of the session that was begun or prolonged."""

    user: User
    tokens: TokenPair


def session_begin(user: User, device: Device) -> Session:
    """Begin a session, of a client of the API or of the admin's pages. The caller holds the user's
    lock, or has just made them."""
    session = Session(
        user=user,
        refresh_jti=new_jti(),
        expires_at=timezone.now() + api_settings.REFRESH_TOKEN_LIFETIME,
        **device.columns,
    )
    session.save(force_insert=True)
    return session


def logged_in(session: Session) -> Login:
    """Return the session's user, and its tokens."""
    return Login(session.user, issue_pair(session))


def session_refresh(*, refresh_token: str, device: Device) -> Login:
    """Exchange a refresh token for a new pair.

    The first who brings a token spends it. Who brings it again from the same device within
    REFRESH_GRACE gets the same pair again: they lost a race, or the answer to it. Whoever else
    brings a spent token has a stolen one, or was stolen from, and the session ends
    (docs/decisions/0006-refresh-race.md). Raises InvalidToken or SessionOver.
    """
    claims = read_refresh(refresh_token)
    # One clock decides, the database's: those of several machines never agree.
    in_grace = Q(refreshed_at__gt=Now() - REFRESH_GRACE)
    locked = active_sessions().select_related("user").select_for_update(of=("self",))
    with transaction.atomic():
        session = locked.annotate(in_grace=in_grace).filter(pk=claims.session_id).first()
        if session is None:
            raise SessionOver
        if claims.jti == session.refresh_jti:
            return _rotate(session, device)
        lost_a_race = claims.jti == session.previous_jti and session.in_grace
        if lost_a_race and device.is_that_of(session):
            return logged_in(session)
        locked_sessions_end([session.pk])
    raise InvalidToken


def session_note_use(session: Session) -> None:
    """Note that the session is in use, unless that was noted a moment ago: an act of the system.

    While its row is locked, or on SQLite the database, a later request notes it: no read waits.
    """
    now = timezone.now()
    if now - session.last_used_at > USE_NOTED_EVERY:
        with suppress(OperationalError), nowait_locks():
            Session.objects.filter(pk=session.pk).update(last_used_at=now)


@transaction.atomic
def session_logout(actor: User, *, session: Session) -> None:
    """End the actor's session, whose tokens and sockets are dead at once; raise SessionNotFound."""
    require(owns(actor, session), SessionNotFound)
    sessions_end(Session.objects.filter(pk=session.pk))


@transaction.atomic
def session_end(actor: User, *, session_id: UUID) -> None:
    """End one of the actor's own sessions; raise SessionNotFound."""
    if not sessions_end(active_sessions().filter(user=actor, pk=session_id)):
        raise SessionNotFound


def sessions_end(sessions: QuerySet[Session]) -> Sequence[UUID]:
    """End the sessions and return their ids; their sockets close once that is committed."""
    ids = sessions_locked(sessions)
    locked_sessions_end(ids)
    return ids


def sessions_locked(sessions: QuerySet[Session]) -> Sequence[UUID]:
    """Lock the sessions for the rest of the transaction and return their ids."""
    # Of the user whom some of these querysets join no lock is taken: theirs comes before these.
    locked = sessions.order_by("pk").select_for_update(of=("self",)).only("pk")
    return [session.pk for session in locked]


def locked_sessions_end(ids: Sequence[UUID]) -> None:
    """End sessions whose rows are locked."""
    Session.objects.filter(pk__in=ids).update(ended_at=timezone.now())
    transaction.on_commit(partial(sessions_close, ids), robust=True)


def _rotate(session: Session, device: Device) -> Login:
    session.previous_jti, session.refresh_jti = session.refresh_jti, new_jti()
    session.last_used_at = timezone.now()
    session.expires_at = session.last_used_at + api_settings.REFRESH_TOKEN_LIFETIME
    moved = ("previous_jti", "refresh_jti", "last_used_at", "expires_at")
    Session.objects.filter(pk=session.pk).update(
        **{name: getattr(session, name) for name in moved}, **device.columns, refreshed_at=Now()
    )
    return logged_in(session)
