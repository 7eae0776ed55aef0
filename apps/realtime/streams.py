"""Kinds of streams: each is declared once, and its names are made and parsed here."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

UUID_REGEX = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
Users = Collection[UUID]
Readers = Callable[[Any, Users], Mapping[UUID, int]]
Automatic = Callable[[Users], Iterable[tuple[UUID, UUID, int]]]

stream_types: dict[str, "StreamType"] = {}


@dataclass(frozen=True)
class StreamType:
    """Streams of one kind: one named `prefix.<id>` for each thing, or a single one named `prefix`.

    `of` names the id, such as userId, and is empty for a single stream. `readers` returns which of
    some users may subscribe, given the stream's id, which is None for a single stream; each with
    the event after which they may read: they receive no earlier ones. `automatic` returns the
    streams to which the server subscribes the sockets of some users by itself, each as user, id and
    such an event. `description` says what a subscriber receives, in `frames` of text, which is
    JSON, or of bytes. Declaring a kind registers it.
    """

    prefix: str
    description: str
    readers: Readers
    of: str = ""
    automatic: Automatic | None = None
    frames: Literal["text", "binary"] = "text"

    def __post_init__(self) -> None:
        if self.prefix in stream_types:
            raise ImproperlyConfigured(f"Two kinds of streams are named {self.prefix!r}.")
        stream_types[self.prefix] = self

    @property
    def pattern(self) -> str:
        """Return how documents write its names."""
        return f"{self.prefix}.{{{self.of}}}" if self.of else self.prefix

    @property
    def regex(self) -> str:
        """Return the regular expression that its names match."""
        return rf"^{self.prefix}\.{UUID_REGEX}$" if self.of else f"^{self.prefix}$"

    def name(self, id_: UUID | None = None) -> str:
        """Return the name of the stream of that id, or of the single one; raise ValueError when an
        id is missing, or given to a single stream."""
        if bool(self.of) == (id_ is None):
            raise ValueError(f"The streams {self.pattern} have no name with the id {id_}.")
        return self.prefix if id_ is None else f"{self.prefix}.{id_}"

    def names(self, ids: Iterable[UUID]) -> list[str]:
        """Return the names of the streams of those ids, or of the single one if there are none."""
        return [self.name(id_) for id_ in ids] if self.of else [self.name(*ids)]


def readers_of(name: str, users: Users) -> Mapping[UUID, int]:
    """Return those of the users who may subscribe to the stream, each with the event after which
    they may read. Nobody may subscribe to a stream that does not exist."""
    prefix, _, rest = name.partition(".")
    if prefix not in stream_types:
        return {}
    kind = stream_types[prefix]
    try:
        id_ = UUID(rest) if kind.of else None
    except ValueError:
        return {}
    # A stream has one name: `feed.`, or an id in another spelling, would be a second stream without
    # events.
    return kind.readers(id_, users) if kind.name(id_) == name else {}


def automatic_streams_of(users: Users) -> dict[UUID, dict[str, int]]:
    """Return the streams to which the sockets of each of the users are subscribed by the server,
    each with the event after which the user may read."""
    found: dict[UUID, dict[str, int]] = {user: {} for user in users}
    for kind in stream_types.values():
        for user, id_, after in kind.automatic(users) if kind.automatic else ():
            found[user][kind.name(id_)] = after
    return found


def everybody(_: Any, users: Users) -> Mapping[UUID, int]:
    """Return that all of the users may read the whole stream."""
    return dict.fromkeys(users, 0)


USER = StreamType(
    prefix="user",
    of="userId",
    description="What concerns one user, on all of their devices. Every socket is subscribed to "
    "the stream of its user from the start; other users may not subscribe.",
    readers=lambda owner_id, users: {user: 0 for user in users if user == owner_id},
    automatic=lambda users: [(user, user, 0) for user in users],
)
