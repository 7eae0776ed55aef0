"""Controls to every process, once the transaction is committed: which users may read a stream now.

The sweep of the subscriptions finds in the database what a lost control asked for.
"""

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from django.db import transaction

from apps.realtime.controls import Revoke, Subscribe
from apps.realtime.wakeups import wake


def access_granted(stream: str, users: Iterable[UUID]) -> None:
    """Subscribe the sockets of users who may read a stream now."""
    controls = [Subscribe(user, stream) for user in users]
    transaction.on_commit(partial(wake, controls=controls), robust=True)


def access_revoked(stream: str, users: Iterable[UUID]) -> None:
    """Unsubscribe the sockets of users who may not read a stream any more."""
    controls = [Revoke(user, stream) for user in users]
    transaction.on_commit(partial(wake, controls=controls), robust=True)
