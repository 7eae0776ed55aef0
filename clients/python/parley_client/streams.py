"""What the client knows of each stream: pure logic, without a connection and without a clock.

These are the rules under "Losing no event" in docs/realtime.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

# The epoch of numbers that the client cannot tell the epoch of any more. No stream has this one, so
# that the server answers with a reset; without an epoch it would not compare.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Position:
    """The last event of a stream that the application has applied, and the epoch of its number."""

    seq: int
    epoch: str = ""


class Verdict(Enum):
    """What to do with an event."""

    APPLY = "apply it: it is the next one"
    DROP = "drop it: it was applied before"
    MISSING = "drop it: another one is missing before it, and the client asks for both"


@dataclass
class _Stream:
    """`last` is the number of the last event that was applied, and None until a first number is
    known. A stream is `joined` if the server began it, after an event that it did not name, and
    `answered` once the server has said whether the client misses anything."""

    last: int | None = None
    epoch: str = ""
    joined: bool = False
    answered: bool = False

    def distrust(self) -> None:
        """Learn that the connection over which the number came is over."""
        if self.last and not self.epoch:
            self.epoch = UNKNOWN

    def resume_point(self) -> dict[str, Any]:
        """Return from where to subscribe. Without `after` the server begins at the head."""
        if self.last is not None:
            return {"after": self.last, "epoch": self.epoch}
        # The server answers with a reset if the user may not read that far back.
        return {"after": 0, "epoch": self.epoch} if self.joined else {}


class Streams:
    """The last number of each stream, and which streams are to be subscribed to (again)."""

    def __init__(
        self, positions: Mapping[str, Position] | None = None, wanted: Iterable[str] = ()
    ) -> None:
        self._streams = {name: _Stream() for name in wanted}
        for name, position in (positions or {}).items():
            self._streams[name] = _Stream(position.seq, position.epoch)
        self.disconnected()
        # In the order in which they are asked for.
        self._due: dict[str, None] = {}
        self._asked: set[str] = set()

    @property
    def names(self) -> set[str]:
        """Return the streams that the client knows."""
        return set(self._streams)

    @property
    def answered(self) -> bool:
        """Return whether the server has answered for each stream."""
        return all(stream.answered for stream in self._streams.values())

    def last(self, name: str) -> int | None:
        """Return the last number of a stream, or None if no number is known."""
        return self._streams[name].last if name in self._streams else None

    def epoch(self, name: str) -> str:
        """Return the epoch of a stream, or nothing if it is not known."""
        return self._streams[name].epoch if name in self._streams else ""

    def resume_point(self, name: str) -> dict[str, Any]:
        """Return from where to ask for a stream: `after` and `epoch`, or nothing for its head."""
        return self._streams[name].resume_point()

    def want(self, name: str) -> None:
        """Subscribe to a stream, or subscribe again after its last number."""
        self._streams.setdefault(name, _Stream())
        # The answer to a question that is under way brings all that is missing.
        if name not in self._asked:
            self._due[name] = None

    def connected(self, heads: Mapping[str, int]) -> list[str]:
        """Begin a connection, to which the server has subscribed the streams with these heads;
        return those of them that are new, and begin at their heads.

        All streams are asked for, since only the answer tells their epochs: after a restored backup
        a head may be equal to the last number by chance. Those that miss something come first.
        """
        new = [name for name in heads if name not in self._streams]
        for name in new:
            self._streams[name] = _Stream(heads[name])
        self._asked.clear()
        self._due = dict.fromkeys(
            sorted(self._streams, key=lambda name: heads.get(name) == self._streams[name].last)
        )
        return new

    def disconnected(self) -> None:
        """End a connection. A number whose epoch was not learned meanwhile says nothing any more: a
        restored log may have another event with this number."""
        for stream in self._streams.values():
            stream.distrust()

    @property
    def has_due(self) -> bool:
        """Return whether there is a stream to subscribe to now."""
        return bool(self._due)

    def next_due(self) -> str | None:
        """Return a stream to subscribe to now, which from then on waits for its answer."""
        for name in self._due:
            del self._due[name]
            self._asked.add(name)
            return name
        return None

    def judge(self, name: str, seq: int) -> Verdict:
        """Take an event that has arrived, and return what to do with it."""
        stream = self._streams.setdefault(name, _Stream(joined=True))
        if stream.last is not None and seq <= stream.last:
            return Verdict.DROP
        if stream.last is not None and seq > stream.last + 1:
            self.want(name)
            return Verdict.MISSING
        stream.last = seq
        if not stream.epoch:
            # A stream has no epoch before its first event. Without it the client would not notice
            # that the numbers began again.
            self.want(name)
        return Verdict.APPLY

    def compare(self, heads: Mapping[str, int]) -> list[str]:
        """Ask for the streams whose heads differ from their last numbers, and return them.

        A smaller head is either older than the last number, or of a log that was restored.
        """
        different = [name for name, head in heads.items() if self.last(name) != head]
        for name in different:
            self._streams.setdefault(name, _Stream(joined=True))
            self.want(name)
        return different

    def subscribed(self, name: str, head: int, epoch: str, *, recovered: bool, asked: bool) -> bool:
        """Learn that a stream is subscribed to, because it was asked for or because the server says
        so by itself; return whether the stream is new to the client."""
        new = name not in self._streams
        stream = self._streams.setdefault(name, _Stream(joined=not asked))
        if asked:
            self._asked.discard(name)
        stream.epoch, stream.answered = epoch, True
        if stream.last is None and not recovered:
            stream.last, new = head, True
        return new

    def reset(self, name: str, head: int, epoch: str, *, asked: bool) -> None:
        """Go on after the head of a stream whose events in between are no longer to be had."""
        stream = self._streams.setdefault(name, _Stream())
        stream.last, stream.epoch, stream.answered = head, epoch, True
        if asked:
            self._asked.discard(name)

    def again(self, name: str) -> None:
        """Ask once more for a stream that the server was too busy for."""
        self._asked.discard(name)
        if name in self._streams:
            self.want(name)

    def forget(self, name: str) -> None:
        """Forget a stream that the user may not read any more."""
        self._streams.pop(name, None)
        self._due.pop(name, None)
        self._asked.discard(name)
