"""Access tokens that were seen seconds ago, with their sessions.

Looking up a session takes a query, and a client sends its token with each request. A session that
ends, and a user who changes, are dropped at once (core.kept).
"""

import time
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model

from apps.accounts.models import Session, User, session_tag, user_tag
from apps.accounts.selectors import session_active
from apps.accounts.sessions import TOUCH_INTERVAL, session_touch
from apps.accounts.tokens import read_access
from apps.core.kept import Kept

M = TypeVar("M", bound=Model)

# Some thousand sessions.
SIZE = 8 * 1024 * 1024
# What one takes, in bytes: the token, the values of two rows, and their objects.
SESSION_SIZE = 3_000


@dataclass(frozen=True, slots=True)
class _Known:
    """A session that was active, and until when it need not be looked up, by time.time()."""

    user_id: UUID
    session: tuple[Any, ...]
    user: tuple[Any, ...]
    until: float


_known = Kept[_Known](SIZE)


def session_of_token(token: str) -> Session:
    """Return the active session of an access token, with its user; raise InvalidToken or
    SessionOver. The session is marked as in use."""
    known = _find(token)
    if known is None:
        start = _known.begin()
        claims = read_access(token)
        session = session_active(claims.session_id)
        session_touch(session)
        # Its end by time, and when its use is to be written again, come without a drop.
        until = min(
            claims.until,
            session.expires_at.timestamp(),
            (session.last_used_at + TOUCH_INTERVAL).timestamp(),
        )
        known = _Known(session.user_id, _values(session), _values(session.user), until)
        tags = (session_tag(session.pk), user_tag(session.user_id))
        _known.keep(token, known, tags=tags, size=SESSION_SIZE, start=start)
        return session
    # Objects of its own for each caller, since callers change them.
    session = _made(Session, known.session)
    session.user = _made(User, known.user)
    return session


def known_user(token: str) -> UUID | None:
    """Return the id of the user of a token that was seen seconds ago, else None."""
    known = _find(token)
    return None if known is None else known.user_id


def _find(token: str) -> _Known | None:
    known = _known.get(token)
    return known if known is not None and time.time() < known.until else None


def _values(row: Model) -> tuple[Any, ...]:
    return tuple(getattr(row, field.attname) for field in row._meta.concrete_fields)


def _made(model: type[M], values: tuple[Any, ...]) -> M:
    names = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(None, names, values)
