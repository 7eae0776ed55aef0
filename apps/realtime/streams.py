"""The streams that there are: each kind is declared once, and its names are made and read here."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

UUID_REGEX = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
Users = Collection[UUID]
Readers = Callable[[Any, Users], Mapping[UUID, int]]
Standing = Callable[[Users], Iterable[tuple[UUID, UUID, int]]]

stream_types: dict[str, "StreamType"] = {}


@dataclass(frozen=True)
class StreamType:
    """Streams of one kind: one named `prefix.<id>` for each thing, or a single one named `prefix`.

    `of` names the id, such as userId, and is empty for a single stream. `readers` says which of
    some users may subscribe, given the stream's id, which is None for a single stream; and each of
    them after which event: of what was told before, they are told nothing. `standing` returns to
    which streams the sockets of some users are subscribed without asking, each as user, id and
    event.
    `description` is what a subscriber is told by it, in `frames` of text, which is JSON, or of
    bytes. Declaring one registers it.
    """

    prefix: str
    description: str
    readers: Readers
    of: str = ""
    standing: Standing | None = None
    frames: Literal["text", "binary"] = "text"

    def __post_init__(self) -> None:
        if self.prefix in stream_types:
            raise ImproperlyConfigured(f"Two kinds of streams are named {self.prefix!r}.")
        stream_types[self.prefix] = self

    @property
    def pattern(self) -> str:
        """Return how its names are written in documents."""
        return f"{self.prefix}.{{{self.of}}}" if self.of else self.prefix

    @property
    def regex(self) -> str:
        """Return the regular expression that its names match."""
        return rf"^{self.prefix}\.{UUID_REGEX}$" if self.of else f"^{self.prefix}$"

    def name(self, id_: UUID | None = None) -> str:
        """Return the name of the stream of that id, or of the single one; raise ValueError where an
        id is missing, or too many."""
        if bool(self.of) == (id_ is None):
            raise ValueError(f"The streams {self.pattern} have no name with the id {id_}.")
        return self.prefix if id_ is None else f"{self.prefix}.{id_}"

    def names(self, ids: Iterable[UUID]) -> list[str]:
        """Return the names of the streams of those ids, or of the single one if there are none."""
        return [self.name(id_) for id_ in ids] if self.of else [self.name(*ids)]


def readers_of(name: str, users: Users) -> Mapping[UUID, int]:
    """Return those of the users who may subscribe to the stream, each with the event after which
    they may read. Of one that there is not: nobody."""
    prefix, _, rest = name.partition(".")
    if prefix not in stream_types:
        return {}
    kind = stream_types[prefix]
    try:
        id_ = UUID(rest) if kind.of else None
    except ValueError:
        return {}
    # A stream has one name: `feed.` would be a second, empty one beside `feed`, and so would an id
    # in another spelling.
    return kind.readers(id_, users) if kind.name(id_) == name else {}


def standing_of(users: Users) -> dict[UUID, dict[str, int]]:
    """Return to which streams the sockets of each of the users are subscribed without asking, each
    with the event after which they may read."""
    found: dict[UUID, dict[str, int]] = {user: {} for user in users}
    for kind in stream_types.values():
        for user, id_, after in kind.standing(users) if kind.standing else ():
            found[user][kind.name(id_)] = after
    return found


def everybody(_: Any, users: Users) -> Mapping[UUID, int]:
    """Return that all of the users may read the whole stream."""
    return dict.fromkeys(users, 0)


USER = StreamType(
    prefix="user",
    of="userId",
    description="What concerns one user, on all of their devices. Every socket is subscribed to "
    "its own from the start; nobody else may.",
    readers=lambda owner_id, users: {user: 0 for user in users if user == owner_id},
    standing=lambda users: [(user, user, 0) for user in users],
)
