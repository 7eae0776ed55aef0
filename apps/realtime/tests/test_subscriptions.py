"""Who may not read a stream any more is told nothing of it, however a revocation and a subscription
meet; and who may read it from some event on, nothing of what was before."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from apps.core.errors import NotFound
from apps.realtime import pages as pages_module
from apps.realtime import stream_subscribers
from apps.realtime import subscriptions as subscriptions_module
from apps.realtime.event_log import Backlog
from apps.realtime.frames import Frame, render
from apps.realtime.sockets import Identity, Socket
from apps.realtime.stream_subscribers import ResumePoint
from apps.realtime.subscriptions import Subscriptions

NAME = "conversation.1"
Hook = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Let nothing happen meanwhile."""


class Database:
    """A log of some events, and who may read it; something may happen while it is asked."""

    def __init__(self, head: int) -> None:
        self.head = head
        self.readers: dict[UUID, int] = {}
        # Whether the readers are subscribed without asking.
        self.stands = True
        self.while_asked: dict[str, Hook] = {}

    async def answer(self, question: Any, *arguments: Any) -> Any:
        """Answer as the function of the log would, called in a thread. What happens while it is on
        its way to the loop, the answer does not know."""
        found = getattr(self, question.__name__)(*arguments)
        await self.while_asked.pop(question.__name__, nothing)()
        return found

    def heads(self, names: list[str]) -> dict[str, tuple[int, str]]:
        return dict.fromkeys(names, (self.head, "epoch"))

    def readers_of(self, _: str, users: Any) -> dict[UUID, int]:
        return {user: self.readers[user] for user in users if user in self.readers}

    def standing_of(self, users: Any) -> dict[UUID, dict[str, int]]:
        own = self.readers_of(NAME, users) if self.stands else {}
        return {user: dict([(NAME, own[user])] if user in own else []) for user in users}

    def events_after(self, name: str, after: int, up_to: int | None = None) -> Backlog:
        last = min(self.head, after + 2, up_to or self.head)
        return Backlog([event(seq) for seq in range(after + 1, last + 1)], complete=True)

    def _not_allowed(self, doubtful: Any) -> list[tuple[str, UUID]]:
        return [
            (name, user)
            for name, users in doubtful.items()
            for user in users
            if user not in self.readers
        ]


class Listener:
    """A socket that notes what it is sent; something may happen while it takes a frame."""

    def __init__(self, user: UUID) -> None:
        self.identity = Identity(user, uuid4())
        self.streams: set[str] = set()
        self.revoked: set[str] = set()
        self.declined: set[str] = set()
        self.welcomed, self.closed = True, False
        self.got: list[Any] = []
        self.while_taking: Hook = nothing

    def push(self, content: str) -> None:
        frame = json.loads(content)
        self.got.append(frame.get("seq", frame["type"]))

    async def pushed(self, content: str) -> None:
        self.push(content)
        await self.while_taking()


class Scene:
    """A process with one socket of Bob's, who may read the stream from its beginning."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tasks: list[asyncio.Task[None]] = []
        self.bob = uuid4()
        database.readers[self.bob] = 0
        self.subscriptions = Subscriptions(self.spawn)
        self.listener = Listener(self.bob)
        self.socket = cast("Socket", self.listener)
        self.subscriptions.add(self.socket)

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def settle(self) -> None:
        """Wait until all that was begun is done."""
        while waiting := [task for task in self.tasks if not task.done()]:
            await asyncio.gather(*waiting)

    async def remove(self) -> None:
        """Let Bob read no more, and say so to this process."""
        del self.database.readers[self.bob]
        self.subscriptions.revoke(self.bob, NAME)

    async def add(self, after: int) -> None:
        """Let Bob read from an event on, and say so to this process."""
        self.database.readers[self.bob] = after
        await self.subscriptions.subscribe_users([self.bob], NAME)
        await self.settle()

    def tell(self, seq: int) -> None:
        """Have an event of the stream arrive."""
        self.database.head = seq
        self.subscriptions.take(event(seq))


def event(seq: int) -> Frame:
    return Frame(NAME, seq, render("told", {}, {"stream": NAME, "seq": seq}))


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database(head=6)
    for module in (stream_subscribers, pages_module, subscriptions_module):
        monkeypatch.setattr(module, "in_thread", made.answer)
    return made


def play(database: Database, scenario: Callable[[Scene], Awaitable[None]]) -> Scene:
    """Return the scene after the scenario has been played in it, and one more event was told."""

    async def run() -> Scene:
        scene = Scene(database)
        await scenario(scene)
        await scene.settle()
        scene.tell(database.head + 1)
        await scene.settle()
        return scene

    return asyncio.run(run())


def test_who_is_removed_hears_nothing_more(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.subscriptions.enter(scene.socket)
        scene.tell(7)
        await scene.remove()

    scene = play(database, scenario)
    assert scene.listener.got == [7, "unsubscribed"]
    assert (scene.listener.streams, scene.subscriptions._subscribers) == (set(), {})


@pytest.mark.parametrize("question", ["standing_of", "heads"])
def test_who_is_removed_while_they_connect_is_not_subscribed(
    database: Database, question: str
) -> None:
    async def scenario(scene: Scene) -> None:
        database.while_asked[question] = scene.remove
        await scene.subscriptions.enter(scene.socket)

    assert play(database, scenario).listener.got == []


@pytest.mark.parametrize("question", ["readers_of", "heads", "events_after"])
def test_who_is_removed_while_they_subscribe_is_refused(database: Database, question: str) -> None:
    async def scenario(scene: Scene) -> None:
        database.while_asked[question] = scene.remove
        with pytest.raises(NotFound):
            await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=0))

    assert play(database, scenario).listener.got == []


def test_who_is_removed_while_they_catch_up_gets_no_further(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        scene.listener.while_taking = scene.remove
        with pytest.raises(NotFound):
            await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=0))

    assert play(database, scenario).listener.got == ["subscribed", 1]


def test_who_is_removed_and_added_again_hears_from_there(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.subscriptions.enter(scene.socket)
        await scene.remove()
        scene.tell(7)
        await scene.add(after=7)
        scene.tell(8)

    scene = play(database, scenario)
    assert scene.listener.got == ["unsubscribed", "subscribed", 8, 9]


def test_a_word_that_is_out_of_date_subscribes_nobody(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.remove()
        await scene.subscriptions.subscribe_users([scene.bob], NAME)

    assert play(database, scenario).listener.got == []


def test_the_sweep_finds_who_was_removed_and_who_was_added(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.subscriptions.enter(scene.socket)
        del database.readers[scene.bob]
        await scene.subscriptions.sweep()
        scene.tell(7)
        database.readers[scene.bob] = 7
        await scene.subscriptions.sweep()

    assert play(database, scenario).listener.got == ["unsubscribed", "subscribed", 8]


def test_the_sweep_leaves_what_a_client_has_asked_for_and_may_read(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        database.stands = False
        await scene.subscriptions.subscribe(scene.socket, NAME, ResumePoint(after=6))
        await scene.subscriptions.sweep()

    assert play(database, scenario).listener.got == ["subscribed", 7]


def test_the_sweep_takes_nothing_from_who_is_added_while_it_asks(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        del database.readers[scene.bob]

        async def added() -> None:
            await scene.add(after=6)

        database.while_asked["standing_of"] = added
        await scene.subscriptions.sweep()

    assert play(database, scenario).listener.got == ["subscribed", 7]


def test_a_process_that_lags_behind_tells_who_joins_nothing_from_before(
    database: Database,
) -> None:
    async def scenario(scene: Scene) -> None:
        carol = Listener(uuid4())
        database.readers[carol.identity.user_id] = 0
        scene.subscriptions.add(cast("Socket", carol))
        del database.readers[scene.bob]
        await scene.subscriptions.enter(cast("Socket", carol))
        # Three events of which this process has not heard, and Bob joins after them.
        database.head = 9
        database.readers[scene.bob] = 9
        await scene.subscriptions.enter(scene.socket)
        assert carol.got == [7, 8, 9]

    assert play(database, scenario).listener.got == [10]


def test_a_socket_is_welcomed_before_it_is_subscribed_to_more(database: Database) -> None:
    async def scenario(scene: Scene) -> None:
        scene.listener.welcomed = False
        await scene.add(after=4)
        assert scene.listener.got == []
        scene.listener.welcomed = True
        scene.subscriptions.welcomed(scene.socket)

    assert play(database, scenario).listener.got == ["subscribed", 5, 6, 7]
