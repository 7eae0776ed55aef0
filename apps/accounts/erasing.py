"""Erasing a user for good, with what all apps keep of them (docs/decisions/0041-erasing.md)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import structlog
from django.db import transaction

from apps.accounts.erasure_log import Note, digest_of, noted, noting
from apps.accounts.locks import user_locked
from apps.accounts.models import USERS_TAG, User, user_tag
from apps.accounts.remains import remains_of
from apps.accounts.statuses import locked_user_set_status
from apps.core.features import personal_data
from apps.core.kept import drop_when_committed

log = structlog.get_logger(__name__)

ERASED_NAME = "Erased user"


@dataclass(frozen=True)
class Erasure:
    """The receipt of an erasure: what was erased, and in which columns the user's id or address is
    still found, each with the number of rows. `user` is the digest of their id."""

    user: str
    erased: Mapping[str, int]
    remains: Mapping[str, int]


def user_erase(user_id: UUID) -> Erasure:
    """Erase a user and return the receipt; raise UserNotFound, BlockingIOError while another
    erasure runs, or OSError if the erasure log cannot be written. Nothing is erased then. This is
    an action of the system, without an actor.

    It takes many transactions, since a user may have a million rows. After one that fails the user
    is banned, and a second call erases the rest.
    """
    with noting(user_id) as note:
        email = User.objects.filter(pk=user_id).values_list("email", flat=True).first() or ""
        successor = _begin(user_id, note)
        erased: Counter[str] = Counter()
        for data in personal_data():
            erased.update(data.erase(user_id, successor))
        _remove(user_id, successor)
        erasure = Erasure(digest_of(user_id), dict(erased), remains_of(user_id, email))
        try:
            note(step="done", erased=erasure.erased, remains=erasure.remains)
        except OSError as error:
            # The line of the beginning is what a restore needs.
            log.warning("the receipt was not kept", reason=error.strerror)
    return erasure


def erase_again(_: datetime) -> int:
    """Erase the users of a restored database who were erased after its backup was made, and return
    how many there were."""
    digests = noted()
    if not digests:
        return 0
    ids = User.objects.values_list("pk", flat=True).order_by().iterator()
    found = [one for one in ids if digest_of(one) in digests]
    for one in found:
        user_erase(one)
    return len(found)


@transaction.atomic
def _begin(user_id: UUID, note: Note) -> UUID:
    """Shut a user out, so that they write nothing more, and return the id of the user without data
    who takes their place in conversations."""
    user = user_locked(user_id)
    # First of all: a restore repeats it, wherever this process dies.
    note(step="begun")
    locked_user_set_status(user, User.Status.BANNED)
    successor = User(
        name=ERASED_NAME,
        email=f"erased-{uuid4().hex}@erased.invalid",
        status=User.Status.BANNED,
    )
    successor.set_unusable_password()
    successor.save(force_insert=True)
    return successor.pk


@transaction.atomic
def _remove(user_id: UUID, successor_id: UUID) -> None:
    """Remove the user's row. What a request that was under way has added since goes with it."""
    user_locked(user_id).delete()
    drop_when_committed(user_tag(user_id), user_tag(successor_id), USERS_TAG)
