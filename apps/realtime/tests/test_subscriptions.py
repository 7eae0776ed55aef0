"""A user who may not read a stream any more receives nothing of it, in whatever order revocation
and subscription happen; a user who may read it after some event receives no earlier one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast
from unittest.mock import AsyncMock
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError

from apps.core.errors import NotFound, ServiceUnavailable
from apps.realtime import pages as pages_module
from apps.realtime import stream_subscribers
from apps.realtime import subscriptions as subscriptions_module
from apps.realtime.event_log import Backlog
from apps.realtime.frames import Frame, render
from apps.realtime.resume_points import ResumePoint
from apps.realtime.server_frames import SocketFrame
from apps.realtime.sockets import Identity, Subscriber
from apps.realtime.subscriptions import Subscriptions
from apps.realtime.tests.tasks import settle

NAME = "conversation.1"
Hook = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Do nothing meanwhile."""


class Database:
    """A log of some events, and its readers. A hook can run while it is asked."""

    def __init__(self, head: int) -> None:
        self.head = head
        self.readers: dict[UUID, int] = {}
        # Whether the readers are subscribed automatically.
        self.automatic = True
        # More streams that all users are subscribed to, with the event after which they may read.
        self.others: dict[str, int] = {}
        self.while_asked: dict[str, Hook] = {}
        self.asked: list[str] = []

    async def answer(self, question: Any, *arguments: Any) -> Any:
        """Answer as the function of the log would in a thread. The hook runs after the answer was
        found, so that the answer is out of date."""
        self.asked.append(question.__name__)
        found = getattr(self, question.__name__)(*arguments)
        await self.while_asked.pop(question.__name__, nothing)()
        return found

    def heads(self, names: list[str]) -> dict[str, tuple[int, str]]:
        return dict.fromkeys(names, (self.head, "epoch"))

    def readers_of(self, _: str, users: Any) -> dict[UUID, int]:
        return {user: self.readers[user] for user in users if user in self.readers}

    def _readable_after(self, asked: Any) -> list[int | None]:
        return [self.readers.get(user) for _, user in asked]

    def pages_after(self, keys: Any) -> list[Backlog]:
        return [self.events_after(*key) for key in keys]

    def automatic_streams_of(self, users: Any) -> dict[UUID, dict[str, int]]:
        own = self.readers_of(NAME, users) if self.automatic else {}
        return {
            user: {**({NAME: own[user]} if user in own else {}), **self.others} for user in users
        }

    def _starts_of(self, users: Any) -> Any:
        return self.automatic_streams_of(users), {
            **self.heads([NAME]),
            **dict.fromkeys(self.others, (6, "epoch")),
        }

    def events_after(self, name: str, after: int, up_to: int | None = None) -> Backlog:
        last = min(self.head, after + 2, up_to or self.head)
        return Backlog([event(seq, name) for seq in range(after + 1, last + 1)], complete=True)

    def _not_allowed(self, doubtful: Any) -> list[tuple[str, UUID]]:
        return [
            (name, user)
            for name, users in doubtful.items()
            for user in users
            if user not in self.readers
        ]


class RecordingSocket:
    """A socket that notes the frames it is sent. A hook can run while it takes a frame."""

    automatic = True
    named: Mapping[str, str] = {}

    def __init__(self, user: UUID) -> None:
        self.identity = Identity(user, uuid4())
        self.streams: set[str] = set()
        self.revoked: set[str] = set()
        self.opted_out: set[str] = set()
        self.catching_up: dict[str, object] = {}
        self.connected, self.closed = True, False
        self.received: list[Any] = []
        self.while_taking: Hook = nothing

    def deliver(self, frame: Frame) -> None:
        self.received.append(frame.seq)

    def tell(self, frame: SocketFrame, request_id: str | None = None) -> None:
        self.received.append(frame.type)

    async def drain(self) -> None:
        await self.while_taking()


class Scene:
    """A process with one socket of Bob, who may read the stream from its beginning."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.bob = uuid4()
        database.readers[self.bob] = 0
        self.subscriptions = Subscriptions(AsyncMock(return_value=[]))
        self.recording = RecordingSocket(self.bob)
        self.socket = cast("Subscriber", self.recording)
        self.subscriptions.add(self.socket)

    async def remove(self) -> None:
        """Remove Bob from the readers, and revoke their subscription in this process."""
        del self.database.readers[self.bob]
        self.subscriptions.revoke(self.bob, NAME)

    async def add(self, after: int) -> None:
        """Make Bob a reader after an event, and subscribe their socket in this process."""
        self.database.readers[self.bob] = after
        await self.subscriptions.subscribe_users([self.bob], NAME)
        await settle()

    def publish(self, seq: int) -> None:
        """Log an event of the stream, and deliver it in this process."""
        self.database.head = seq
        self.subscriptions.deliver(event(seq))


def event(seq: int, name: str = NAME) -> Frame:
    return Frame(name, seq, render("news", {}, {"stream": name, "seq": seq}))


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database(head=6)
    for module in (stream_subscribers, pages_module, subscriptions_module):
        monkeypatch.setattr(module, "in_thread", made.answer)
    return made


def play(database: Database, scenario: Callable[[Scene], Awaitable[None]]) -> Scene:
    """Return the scene after the scenario was played in it, and one more event was published."""

    async def run() -> Scene:
        scene = Scene(database)
        await scenario(scene)
        await settle()
        scene.publish(database.head + 1)
        await settle()
        return scene

    return asyncio.run(run())


def test_a_removed_user_receives_nothing_more(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.subscriptions.subscribe_at_start(scene.socket)
        scene.publish(7)
        await scene.remove()

    scene = play(database, scenario)
    assert scene.recording.received == [7, "unsubscribed"]
    assert (scene.recording.streams, scene.subscriptions._subscribers) == (set(), {})


def test_a_user_who_is_removed_while_they_connect_is_not_subscribed(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        database.while_asked["_starts_of"] = scene.remove
        await scene.subscriptions.subscribe_at_start(scene.socket)

    assert play(database, scenario).recording.received == []


def test_an_event_that_comes_while_the_heads_are_read_is_before_the_first_frame(
    database: Database,
) -> None:
    async def scenario(scene: Scene) -> None:
        async def published() -> None:
            scene.publish(7)

        database.while_asked["_starts_of"] = published
        await scene.subscriptions.subscribe_at_start(scene.socket)
        assert scene.subscriptions.heads_of(scene.socket) == {NAME: 7}

    scene = play(database, scenario)
    assert scene.recording.received == [8]
    assert scene.subscriptions._missed == []


def test_a_socket_is_subscribed_to_no_stream_before_it_is_to_all(database: Database) -> None:
    """Its first frame names the positions of all of them."""

    async def scenario(scene: Scene) -> None:
        carol = RecordingSocket(uuid4())
        database.readers[carol.identity.user_id] = 0
        scene.subscriptions.add(cast("Subscriber", carol))
        await scene.subscriptions.subscribe_at_start(cast("Subscriber", carol))
        # This process is behind the event after which Bob may read, and reads on.
        database.head = 9
        database.readers[scene.bob] = 9
        database.others = {"user.bob": 0}

        async def news_for_bob() -> None:
            scene.subscriptions.deliver(event(7, "user.bob"))

        database.while_asked["events_after"] = news_for_bob
        await scene.subscriptions.subscribe_at_start(scene.socket)
        assert scene.recording.received == []
        assert scene.subscriptions.heads_of(scene.socket) == {NAME: 9, "user.bob": 7}

    assert play(database, scenario).recording.received == [10]


def test_sockets_that_connect_at_one_moment_are_subscribed_by_one_question(
    database: Database,
) -> None:
    async def scenario(scene: Scene) -> None:
        crowd = [RecordingSocket(uuid4()) for _ in range(50)]
        for one in crowd:
            database.readers[one.identity.user_id] = 0
            scene.subscriptions.add(cast("Subscriber", one))
        starting = scene.subscriptions.subscribe_at_start
        await asyncio.gather(*(starting(cast("Subscriber", one)) for one in crowd))
        assert database.asked == ["_starts_of"]
        scene.publish(7)
        assert [one.received for one in crowd] == [[7]] * 50

    play(database, scenario)


@pytest.mark.parametrize("question", ["_readable_after", "heads", "pages_after"])
def test_a_user_who_is_removed_while_they_subscribe_is_refused(
    database: Database, question: str
) -> None:
    async def scenario(scene: Scene) -> None:
        database.while_asked[question] = scene.remove
        with pytest.raises(NotFound):
            await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=0))

    received = play(database, scenario).recording.received
    assert received == ([] if question == "_readable_after" else ["unsubscribed"])


def test_a_user_who_is_removed_while_they_catch_up_receives_nothing_more(
    database: Database,
) -> None:
    async def scenario(scene: Scene) -> None:
        scene.recording.while_taking = scene.remove
        with pytest.raises(NotFound):
            await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=0))

    assert play(database, scenario).recording.received == ["subscribed", 1, "unsubscribed"]


def test_a_user_who_is_removed_and_added_again_receives_later_events_only(
    database: Database,
) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.subscriptions.subscribe_at_start(scene.socket)
        await scene.remove()
        scene.publish(7)
        await scene.add(after=7)
        scene.publish(8)

    scene = play(database, scenario)
    assert scene.recording.received == ["unsubscribed", "subscribed", 8, 9]


def test_an_outdated_control_subscribes_nobody(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.remove()
        await scene.subscriptions.subscribe_users([scene.bob], NAME)

    assert play(database, scenario).recording.received == []


def test_the_sweep_finds_users_who_were_removed_or_added(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.subscriptions.subscribe_at_start(scene.socket)
        del database.readers[scene.bob]
        await scene.subscriptions.sweep()
        scene.publish(7)
        database.readers[scene.bob] = 7
        await scene.subscriptions.sweep()

    assert play(database, scenario).recording.received == ["unsubscribed", "subscribed", 8]


def test_the_sweep_keeps_a_subscription_that_a_client_asked_for(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        database.automatic = False
        await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=6))
        await scene.subscriptions.sweep()

    assert play(database, scenario).recording.received == ["subscribed", 7]


def test_the_sweep_does_not_revoke_a_user_who_is_added_meanwhile(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        del database.readers[scene.bob]

        async def added() -> None:
            await scene.add(after=6)

        database.while_asked["automatic_streams_of"] = added
        await scene.subscriptions.sweep()

    assert play(database, scenario).recording.received == ["subscribed", 7]


def test_a_process_that_is_behind_sends_a_new_member_no_earlier_events(
    database: Database,
) -> None:
    async def scenario(scene: Scene) -> None:
        carol = RecordingSocket(uuid4())
        database.readers[carol.identity.user_id] = 0
        scene.subscriptions.add(cast("Subscriber", carol))
        del database.readers[scene.bob]
        await scene.subscriptions.subscribe_at_start(cast("Subscriber", carol))
        # Three events that this process does not know of, and Bob joins after them.
        database.head = 9
        database.readers[scene.bob] = 9
        await scene.subscriptions.subscribe_at_start(scene.socket)
        assert carol.received == [7, 8, 9]

    assert play(database, scenario).recording.received == [10]


def test_a_socket_is_connected_before_it_is_subscribed_to_more(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        scene.recording.connected = False
        await scene.add(after=4)
        assert scene.recording.received == []
        scene.recording.connected = True
        scene.subscriptions.subscribe_pending(scene.socket)

    assert play(database, scenario).recording.received == ["subscribed", 5, 6, 7]


@pytest.mark.parametrize("automatic", [True, False])
def test_a_user_who_is_removed_and_added_while_they_catch_up_reads_nothing_in_between(
    database: Database, automatic: bool
) -> None:
    async def scenario(scene: Scene) -> None:
        async def removed_and_added() -> None:
            scene.recording.while_taking = nothing
            await scene.remove()
            scene.publish(7)
            database.readers[scene.bob] = 7
            await scene.subscriptions.subscribe_users([scene.bob], NAME)

        scene.recording.while_taking = removed_and_added
        if automatic:
            await scene.add(after=0)
        else:
            with pytest.raises(NotFound):
                await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=0))

    scene = play(database, scenario)
    assert scene.recording.received == ["subscribed", 1, "unsubscribed", "subscribed", 8]


def test_a_client_that_unsubscribes_while_it_catches_up_receives_nothing_more(
    database: Database,
) -> None:
    async def scenario(scene: Scene) -> None:
        async def unsubscribed() -> None:
            scene.subscriptions.unsubscribe(scene.socket, NAME)

        scene.recording.while_taking = unsubscribed
        await scene.add(after=0)

    scene = play(database, scenario)
    assert scene.recording.received == ["subscribed", 1]
    assert (scene.recording.streams, scene.recording.opted_out) == (set(), {NAME})


def test_a_client_that_subscribes_while_it_catches_up_is_sent_one_backlog(
    database: Database,
) -> None:
    async def scenario(scene: Scene) -> None:
        async def subscribed() -> None:
            scene.recording.while_taking = nothing
            await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=4))

        scene.recording.while_taking = subscribed
        await scene.add(after=0)

    scene = play(database, scenario)
    assert scene.recording.received == ["subscribed", 1, "subscribed", 5, 6, 7]


def test_streams_that_a_client_never_had_are_not_remembered(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        for number in range(100):
            scene.subscriptions.unsubscribe(scene.socket, f"stream.{number}")

    assert play(database, scenario).recording.opted_out == set()


def test_a_member_joins_a_group_that_they_could_not_subscribe_to_while_the_database_was_away(
    database: Database,
) -> None:
    async def scenario(scene: Scene) -> None:
        async def away() -> None:
            raise OperationalError

        await scene.remove()
        database.while_asked["_readable_after"] = away
        with pytest.raises(ServiceUnavailable):
            await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=4))
        await scene.add(after=6)

    assert play(database, scenario).recording.received == ["subscribed", 7]


def test_a_client_that_could_not_resume_while_the_database_was_away_asks_again(
    database: Database,
) -> None:
    """The sweep does not subscribe it meanwhile: it would send what the client has."""

    async def scenario(scene: Scene) -> None:
        async def away() -> None:
            raise OperationalError

        await scene.subscriptions.subscribe_at_start(scene.socket)
        database.while_asked["_readable_after"] = away
        with pytest.raises(ServiceUnavailable):
            await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=4))
        await scene.subscriptions.sweep()
        await settle()
        assert scene.recording.received == []
        await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=4))

    assert play(database, scenario).recording.received == ["subscribed", 5, 6, 7]
