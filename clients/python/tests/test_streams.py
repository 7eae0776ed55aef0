"""Streams: which events are applied, and which are asked for."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from parley_client.streams import UNKNOWN, Position, Streams, Verdict

FEED = "feed"


def opened(last: int = 5) -> Streams:
    """Return streams of which one is subscribed to, after that number."""
    streams = Streams({FEED: Position(last, "one")})
    streams.connected({})
    assert streams.next_due() == FEED
    streams.subscribed(FEED, last, "one", recovered=True, asked=True)
    return streams


def test_the_next_number_is_applied() -> None:
    streams = opened()
    assert streams.judge(FEED, 6) is Verdict.APPLY
    assert streams.last(FEED) == 6
    assert not streams.has_due


def test_a_number_that_was_applied_is_dropped() -> None:
    streams = opened()
    assert [streams.judge(FEED, seq) for seq in (5, 1)] == [Verdict.DROP] * 2
    assert streams.last(FEED) == 5
    assert not streams.has_due


def test_a_hole_is_asked_for_after_the_last_number() -> None:
    streams = opened()
    assert streams.judge(FEED, 7) is Verdict.MISSING
    assert streams.next_due() == FEED
    assert streams.resume_point(FEED) == {"after": 5, "epoch": "one"}


def test_a_hole_is_asked_for_once_while_the_answer_is_under_way() -> None:
    streams = opened()
    streams.judge(FEED, 7)
    assert streams.next_due() == FEED
    streams.judge(FEED, 8)
    streams.compare({FEED: 8})
    assert not streams.has_due
    streams.subscribed(FEED, 8, "one", recovered=True, asked=True)
    assert [streams.judge(FEED, seq) for seq in (6, 7, 8)] == [Verdict.APPLY] * 3


def test_a_head_that_differs_is_asked_for() -> None:
    streams = opened()
    assert streams.compare({FEED: 5}) == []
    assert streams.compare({FEED: 6}) == [FEED]
    assert streams.next_due() == FEED


def test_a_smaller_head_is_asked_for_too() -> None:
    """The log may have been restored from a backup."""
    streams = opened()
    assert streams.compare({FEED: 4}) == [FEED]


def test_a_new_stream_of_the_server_begins_at_its_head() -> None:
    streams = Streams()
    assert streams.connected({"user.1": 3}) == ["user.1"]
    assert streams.last("user.1") == 3
    assert streams.judge("user.1", 4) is Verdict.APPLY


def test_every_stream_is_asked_for_after_a_reconnect_and_first_what_misses_something() -> None:
    """Only the answer tells the epoch, which may be another one although the head is the same."""
    streams = Streams({"a": Position(1, "x"), "b": Position(2, "x"), "c": Position(3, "x")})
    streams.connected({"a": 1, "b": 7})
    assert [streams.next_due() for _ in range(4)] == ["b", "c", "a", None]
    streams.connected({"a": 1, "b": 7})
    assert streams.has_due


def test_a_wanted_stream_without_a_number_begins_at_the_head_of_the_answer() -> None:
    streams = Streams(wanted=[FEED])
    assert streams.connected({}) == []
    assert streams.next_due() == FEED
    assert streams.resume_point(FEED) == {}
    assert streams.subscribed(FEED, 9, "one", recovered=False, asked=True)
    assert (streams.last(FEED), streams.epoch(FEED)) == (9, "one")


def test_a_group_that_the_server_subscribes_begins_with_its_first_event() -> None:
    streams = Streams()
    assert streams.subscribed("conversation.1", 9, "one", recovered=True, asked=False)
    assert streams.judge("conversation.1", 8) is Verdict.APPLY
    assert streams.judge("conversation.1", 9) is Verdict.APPLY


def test_a_group_whose_first_event_was_lost_is_asked_for_from_the_start() -> None:
    """The server answers with a reset, since the user may not read that far back."""
    streams = Streams()
    streams.subscribed("conversation.1", 9, "one", recovered=True, asked=False)
    streams.connected({"conversation.1": 9})
    assert streams.resume_point("conversation.1") == {"after": 0, "epoch": "one"}


def test_a_reset_goes_on_after_the_head_in_the_new_epoch() -> None:
    streams = opened()
    streams.reset(FEED, 2, "two", asked=False)
    assert streams.resume_point(FEED) == {"after": 2, "epoch": "two"}
    assert streams.judge(FEED, 3) is Verdict.APPLY


def test_the_epoch_of_a_stream_is_asked_for_at_its_first_event() -> None:
    streams = Streams()
    streams.connected({"user.1": 0})
    assert streams.next_due() == "user.1"
    streams.subscribed("user.1", 0, "", recovered=True, asked=True)
    assert streams.judge("user.1", 1) is Verdict.APPLY
    assert streams.next_due() == "user.1"


def test_a_number_whose_epoch_was_not_learned_leads_to_a_reset_after_a_reconnect() -> None:
    streams = Streams(positions={"seen": Position(3), "empty": Position(0)})
    streams.connected({"user.1": 0})
    streams.judge("user.1", 1)
    streams.disconnected()
    epochs = [streams.resume_point(name)["epoch"] for name in ("seen", "empty", "user.1")]
    assert epochs == [UNKNOWN, "", UNKNOWN]


def test_a_stream_that_may_not_be_read_is_forgotten() -> None:
    streams = opened()
    streams.judge(FEED, 7)
    streams.forget(FEED)
    streams.again(FEED)
    assert (streams.names, streams.next_due()) == (set(), None)


def test_a_busy_server_is_asked_again() -> None:
    streams = opened()
    streams.judge(FEED, 7)
    streams.next_due()
    streams.again(FEED)
    assert streams.next_due() == FEED


# A server, and a connection that loses events, repeats them and breaks.


@dataclass
class World:
    """One stream at a server, the frames that are under way, and the client that gets them.

    Each event has a name that no other has, also after the numbers began again.
    """

    streams: Streams = field(default_factory=lambda: Streams({FEED: Position(0)}))
    log: list[int] = field(default_factory=list)
    published: int = 0
    first: int = 1
    epoch: str = ""
    epochs: int = 0
    subscribed: bool = False
    under_way: list[tuple[str, Any]] = field(default_factory=list)
    # The numbers of what the client applied, and the names of the events that it knows by now.
    applied: list[tuple[str, int]] = field(default_factory=list)
    known: set[int] = field(default_factory=set)

    @property
    def head(self) -> int:
        return len(self.log)

    def publish(self) -> None:
        self.epoch = self.epoch or self._new_epoch()
        self.published += 1
        self.log.append(self.published)
        if self.subscribed:
            self.under_way.append(self._event_of(self.head))

    def prune(self) -> None:
        """Delete all events but the last."""
        self.first = max(self.first, self.head)

    def restore(self) -> None:
        """Begin the numbers of an older backup again."""
        if self.epoch:
            self.log, self.epoch = self.log[: self.head // 2], self._new_epoch()
            self.first = min(self.first, self.head + 1)
            self.connect()

    def connect(self) -> None:
        self.under_way = []
        self.subscribed = False
        self.streams.disconnected()
        self.streams.connected({})

    def lose(self) -> None:
        if self.under_way and self.under_way[0][0] == "event":
            self.under_way.pop(0)

    def repeat(self) -> None:
        if self.under_way and self.under_way[0][0] == "event":
            self.under_way.insert(0, self.under_way[0])

    def beat(self) -> None:
        if self.subscribed:
            self.under_way.append(("heads", {FEED: self.head}))

    def arrive(self) -> None:
        if self.under_way:
            kind, value = self.under_way.pop(0)
            getattr(self, f"_{kind}")(value)

    def ask(self) -> None:
        """Send what the client asks for, and answer it as the server does."""
        if self.streams.next_due() is None:
            return
        point = self.streams.resume_point(FEED)
        missed = range(point["after"] + 1, self.head + 1)
        same = point["epoch"] in {"", self.epoch} and point["after"] <= self.head
        if same and (not missed or missed[0] >= self.first):
            self.under_way.append(("subscribed", (self.head, self.epoch)))
            self.under_way += [self._event_of(seq) for seq in missed]
        else:
            self.under_way.append(("reset", (self.head, self.epoch)))
        self.subscribed = True

    def settle(self) -> None:
        """Lose nothing more, until nothing more happens."""
        self.connect()
        for _ in range(2):
            self.ask()
            while self.under_way or self.streams.has_due:
                self.arrive()
                self.ask()
            self.beat()

    def _event_of(self, seq: int) -> tuple[str, Any]:
        return "event", (seq, self.log[seq - 1])

    def _event(self, event: tuple[int, int]) -> None:
        seq, name = event
        if self.streams.judge(FEED, seq) is Verdict.APPLY:
            self.applied.append(("event", seq))
            self.known.add(name)

    def _heads(self, heads: dict[str, int]) -> None:
        self.streams.compare(heads)

    def _subscribed(self, answer: tuple[int, str]) -> None:
        self.streams.subscribed(FEED, *answer, recovered=True, asked=True)

    def _reset(self, answer: tuple[int, str]) -> None:
        self.streams.reset(FEED, *answer, asked=True)
        self.applied.append(("reset", answer[0]))
        # The application fetches the state.
        self.known.update(self.log)

    def _new_epoch(self) -> str:
        self.epochs += 1
        return str(self.epochs)


# How often each of them happens, too: what is sent arrives more often than not.
NETWORK = ["publish"] * 2 + ["arrive"] * 3 + ["lose", "repeat", "beat", "connect"]


def played(world: World, steps: list[str]) -> World:
    world.connect()
    for step in steps:
        getattr(world, step)()
        world.ask()
    world.settle()
    return world


# Short lists would seldom lose anything that matters.
@given(st.lists(st.sampled_from(NETWORK), min_size=15, max_size=60))
def test_every_event_is_applied_once_and_in_order_whatever_is_lost(steps: list[str]) -> None:
    begun = World(Streams({FEED: Position(0, "1")}), epoch="1", epochs=1)
    world = played(begun, steps)
    assert world.applied == [("event", seq) for seq in range(1, world.head + 1)]


@given(st.lists(st.sampled_from([*NETWORK, "prune", "restore"]), min_size=15, max_size=60))
def test_what_is_no_longer_to_be_had_is_a_reset_and_never_a_hole(steps: list[str]) -> None:
    world = played(World(), steps)
    last = 0
    for what, seq in world.applied:
        assert what == "reset" or seq == last + 1
        last = seq
    assert last == world.head
    assert world.known >= set(world.log)
