"""What a client reads over HTTP before it follows the events of what it has read.

The answer names the number of each stream whose events change it, in `meta.streams`. It is read on
one snapshot of the database together with these numbers, so it holds what the events up to them
tell, and nothing that a later one tells: counts can be kept up to date as well as lists
(docs/decisions/0050-state-then-events.md).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import cast
from uuid import UUID

from django.db.models import CharField
from rest_framework.request import Request

from apps.core.db.prepared import OneOf, Prepared
from apps.core.db.snapshots import one_snapshot
from apps.realtime.models import Stream
from apps.realtime.streams import USER, automatic_streams_of

_HEADS = Prepared(
    lambda: Stream.objects.filter(OneOf("name", "names", CharField())).values_list("name", "head")
)


def stream_numbers(names: Iterable[str]) -> dict[str, int]:
    """Return the number of the last event of each stream, 0 if it has none."""
    asked = list(names)
    return dict.fromkeys(asked, 0) | dict(_HEADS.all(names=asked))


def snapshot_with(
    names: Callable[[Request], Iterable[str]],
) -> Callable[[Request], AbstractContextManager[Mapping[str, int]]]:
    """Return a context that gives the numbers of the named streams, for a request. What is read in
    its block agrees with them."""

    @contextmanager
    def read(request: Request) -> Iterator[Mapping[str, int]]:
        with one_snapshot():
            yield stream_numbers(names(request))

    return read


def _user_id(request: Request) -> UUID:
    return cast("UUID", request.user.pk)


USER_STREAM = snapshot_with(lambda request: [USER.name(_user_id(request))])
# Those to which the sockets of the user are subscribed by the server.
AUTOMATIC_STREAMS = snapshot_with(
    lambda request: automatic_streams_of([_user_id(request)])[_user_id(request)]
)
