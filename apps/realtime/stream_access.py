"""Telling every process, once the transaction is committed, whose sockets a stream is for now.

What is lost of it, the sweep of the subscriptions finds in the database.
"""

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from django.db import transaction

from apps.realtime.controls import Revoke, Subscribe
from apps.realtime.wakeups import wake


def access_granted(stream: str, users: Iterable[UUID]) -> None:
    """Have the sockets of users who may read a stream now subscribed to it."""
    controls = [Subscribe(user, stream) for user in users]
    transaction.on_commit(partial(wake, controls=controls), robust=True)


def access_revoked(stream: str, users: Iterable[UUID]) -> None:
    """Have no socket of users who may not read a stream any more subscribed to it."""
    controls = [Revoke(user, stream) for user in users]
    transaction.on_commit(partial(wake, controls=controls), robust=True)
