"""What the clients of a repetition asked for and received, and what was stored in the end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["ok", "refused", "unknown"]


@dataclass
class Attempt:
    """Something that a client sent under one client id, however often it tried.

    `to` is a user, a group or `feed`. A try that was not answered, or not for certain, leaves the
    outcome unknown until another one is answered.
    """

    client_id: str
    sender: str
    to: str
    contents: set[str]
    tries: int = 0
    outcome: Outcome = "unknown"
    # The ids by which the server acknowledged it. There must be one.
    ids: set[str] = field(default_factory=set)
    acknowledged_at: float | None = None
    # When it was last tried.
    sent_at: float = 0.0

    def acknowledge(self, id_: str, at: float) -> None:
        """Note that the server has it, under this id."""
        self.outcome = "ok"
        self.ids.add(id_)
        self.acknowledged_at = self.acknowledged_at or at


@dataclass(frozen=True)
class Arrival:
    """A frame of a stream as it came over the socket. One without a number begins a subscription,
    after which the numbers may begin anywhere."""

    stream: str
    seq: int | None
    at: float


@dataclass(frozen=True)
class Applied:
    """An event that a client applied: its number, type, and what it is about."""

    seq: int
    type: str
    subject: str
    client_id: str
    at: float


@dataclass
class Part:
    """What a client applied of a stream after one number. A reset begins the next part."""

    after: int
    events: list[Applied] = field(default_factory=list)

    @property
    def last(self) -> int:
        """Return the number up to which the client has the stream."""
        return self.events[-1].seq if self.events else self.after


@dataclass
class DeviceJournal:
    """What one device of a user received."""

    user: str
    name: str
    arrivals: list[Arrival] = field(default_factory=list)
    parts: dict[str, list[Part]] = field(default_factory=dict)
    # What the device fetched over HTTP after a reset.
    fetched: set[str] = field(default_factory=set)

    def known(self) -> set[str]:
        """Return the subjects that the device applied or fetched."""
        return self.fetched | {
            event.subject
            for parts in self.parts.values()
            for part in parts
            for event in part.events
        }


@dataclass(frozen=True)
class Stored:
    """A message or a post as the database has it in the end."""

    id: str
    client_id: str
    sender: str
    to: str
    content: str
    deleted: bool


@dataclass(frozen=True)
class Logged:
    """An event of a stream as the database has it in the end."""

    seq: int
    type: str
    subject: str


@dataclass(frozen=True)
class Told:
    """A notification of a post as the database has it in the end: whom it tells, of what that was
    sent under which client id, and what was decided for each channel."""

    id: str
    user: str
    client_id: str
    decisions: Mapping[str, str]


@dataclass(frozen=True)
class Arrived:
    """A mail or a push as its sink received it: by which channel, at which address, of what that
    was sent under which client id, and the id by which readers drop repeats."""

    channel: str
    address: str
    client_id: str
    message_id: str


@dataclass
class Journal:
    """All of one repetition. `members` are the users of each group."""

    attempts: dict[str, Attempt] = field(default_factory=dict)
    devices: list[DeviceJournal] = field(default_factory=list)
    members: dict[str, set[str]] = field(default_factory=dict)
    stored: list[Stored] = field(default_factory=list)
    log: dict[str, list[Logged]] = field(default_factory=dict)
    # What the API shows to each user: ids of messages, with the deleted ones left out.
    shown: dict[str, set[str]] = field(default_factory=dict)
    # How many unread messages the API reports to each user, and how many a recount finds.
    unread: dict[str, tuple[int, int]] = field(default_factory=dict)
    # When each device was told to have lost a stream: by device and stream.
    revoked_at: dict[tuple[str, str], float] = field(default_factory=dict)
    # Client ids of what a restore took away.
    taken_away: set[str] = field(default_factory=set)
    may_reset: bool = False
    # The author who is followed, and by which channels each follower wants to be told. Who must not
    # be told at all is not among them.
    author: str = ""
    wanted: dict[str, frozenset[str]] = field(default_factory=dict)
    # The address of each follower.
    addresses: dict[str, str] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    arrived: list[Arrived] = field(default_factory=list)
    # The ids of the notifications that the API shows to each follower.
    listed: dict[str, list[str]] = field(default_factory=dict)
    # The slots in which the periodic job had to run, and how often it did in each.
    slots: range = range(0)
    runs: Counter[int] = field(default_factory=Counter)

    def repairs(self, late: float = 1.0) -> list[float]:
        """Return after how many seconds each event was applied that came later than `late` after
        its acknowledgement."""
        return [
            seconds
            for device in self.devices
            for parts in device.parts.values()
            for part in parts
            for event in part.events
            if (seconds := self._seconds_late(event)) > late
        ]

    def latencies(self, after: float, before: float) -> list[float]:
        """Return how long each event took to a device, of what was sent between two times."""
        return [
            event.at - attempt.sent_at
            for device in self.devices
            for parts in device.parts.values()
            for part in parts
            for event in part.events
            if (attempt := self.attempts.get(event.client_id)) and after <= attempt.sent_at < before
        ]

    def _seconds_late(self, event: Applied) -> float:
        attempt = self.attempts.get(event.client_id)
        acknowledged = attempt.acknowledged_at if attempt else None
        return event.at - acknowledged if acknowledged is not None else 0.0
