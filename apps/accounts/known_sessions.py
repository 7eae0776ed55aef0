"""Access tokens that were seen seconds ago, with their sessions.

Looking up a session takes a query, and a client sends its token with each request. A session that
ends, and a user who changes, are dropped at once (core.kept).
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model

from apps.accounts.errors import InvalidToken, SessionOver
from apps.accounts.models import Session, User, session_tag, user_tag
from apps.accounts.selectors import sessions_with_users
from apps.accounts.sessions import TOUCH_INTERVAL, needs_touch, sessions_touch
from apps.accounts.tokens import Claims, read_access
from apps.core.errors import DomainError
from apps.core.gather import Gather, InThread
from apps.core.kept import Kept, LoadStart

M = TypeVar("M", bound=Model)

# Some thousand sessions.
SIZE = 8 * 1024 * 1024
# What one takes, in bytes: the token, the values of two rows, and their objects.
SESSION_SIZE = 3_000


@dataclass(frozen=True, slots=True)
class _Known:
    """A session that was active, and until when it need not be looked up, by time.time()."""

    session_id: UUID
    user_id: UUID
    session: tuple[Any, ...]
    user: tuple[Any, ...]
    until: float


_known = Kept[_Known](SIZE)


def session_of_token(token: str) -> Session:
    """Return the active session of an access token, with its user; raise InvalidToken or
    SessionOver. The session is marked as in use."""
    [outcome] = sessions_of_tokens([token])
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


def sessions_of_tokens(tokens: Sequence[str]) -> list[Session | DomainError]:
    """Return for each token what session_of_token() returns or raises, with one query for those
    that are not known."""
    known = {token: found for token in tokens if (found := _find(token)) is not None}
    unknown = {token for token in tokens if token not in known}
    looked_up = _look_up(unknown) if unknown else {}
    return [_session_of(known.get(token) or looked_up[token]) for token in tokens]


def _look_up(tokens: Iterable[str]) -> dict[str, _Known | DomainError]:
    outcomes: dict[str, _Known | DomainError] = {}
    claims: dict[str, Claims] = {}
    start = _known.begin()
    for token in tokens:
        try:
            claims[token] = read_access(token)
        except InvalidToken as refusal:
            outcomes[token] = refusal
    ids = {one.session_id for one in claims.values()}
    sessions = {one.pk: one for one in sessions_with_users(ids)} if ids else {}
    sessions_touch(sessions.values())
    for token, one in claims.items():
        session = sessions.get(one.session_id)
        if session is None:
            outcomes[token] = SessionOver()
        else:
            outcomes[token] = known = _known_of(session, one)
            _keep(token, known, start)
    return outcomes


def _session_of(outcome: _Known | DomainError) -> Session | DomainError:
    if isinstance(outcome, DomainError):
        return outcome
    # Objects of its own for each caller, since callers change them.
    session = _made(Session, outcome.session)
    session.user = _made(User, outcome.user)
    return session


def known_user(token: str) -> UUID | None:
    """Return the id of the user of a token that was seen seconds ago, else None."""
    known = _find(token)
    return None if known is None else known.user_id


class UsersOfTokens:
    """See core.features.TokenUsers. Tokens that are not known are looked up together with those
    that wait at the same moment, `in_thread`."""

    def __init__(self, in_thread: InThread[str, _Known]) -> None:
        self._sessions = Gather[str, _Known](_load, in_thread, _known, _keep)

    def known(self, token: str) -> UUID | None:
        """See core.features.TokenUsers."""
        return known_user(token)

    async def find(self, token: str) -> User | None:
        """See core.features.TokenUsers. None also if session_of_token() must write that the session
        is in use."""
        known = _find(token)
        if known is None:
            future = self._sessions.get(token)
            # Others may wait for it as well, so a caller who is cancelled must not cancel it.
            await asyncio.wait([future])
            known = None if future.exception() else future.result()
        return None if known is None else _made(User, known.user)


def _load(tokens: Sequence[str]) -> dict[str, _Known]:
    """Return the sessions of those tokens that are valid and need no write."""
    claims = {}
    for token in tokens:
        with suppress(InvalidToken):
            claims[token] = read_access(token)
    ids = {one.session_id for one in claims.values()}
    found = {one.pk: one for one in sessions_with_users(ids) if not needs_touch(one)}
    return {
        token: _known_of(found[one.session_id], one)
        for token, one in claims.items()
        if one.session_id in found
    }


def _known_of(session: Session, claims: Claims) -> _Known:
    # Its end by time, and when its use is to be written again, come without a drop.
    until = min(
        claims.until,
        session.expires_at.timestamp(),
        (session.last_used_at + TOUCH_INTERVAL).timestamp(),
    )
    return _Known(session.pk, session.user_id, _values(session), _values(session.user), until)


def _keep(token: str, known: _Known, start: LoadStart) -> None:
    tags = (session_tag(known.session_id), user_tag(known.user_id))
    _known.keep(token, known, tags=tags, size=SESSION_SIZE, start=start)


def _find(token: str) -> _Known | None:
    known = _known.get(token)
    return known if known is not None and time.time() < known.until else None


def _values(row: Model) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _names(type(row)))


def _made(model: type[M], values: tuple[Any, ...]) -> M:
    return model.from_db(None, _names(model), values)


@cache
def _names(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]
