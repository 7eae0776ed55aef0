"""People who read posts and write to each other while somebody beside them misbehaves.

They are in a process of their own, so that their clock does not depend on what else is done, and
each comes from an address of their own. Load is open: what is due is sent, whatever has come back.
"""

import asyncio
import gc
import secrets
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from bench.clients import Browser, listening_socket
from bench.servers import Person

# Per second, in both processes of the server together.
READS = 40
MESSAGES = 40
PAIRS = 24
# What takes longer, in seconds, has failed.
PATIENCE = 10.0
ADDRESSES = 250


@dataclass(frozen=True)
class Scene:
    """Where they are: the two processes of a server, the posts, and who reads and writes."""

    ports: tuple[int, int]
    posts: list[str]
    readers: list[Person]
    senders: list[Person]
    receivers: list[Person]


Series = list[tuple[float, float]]


@dataclass
class Seen:
    """What they met with: when each was sent and the seconds it took, PATIENCE when it failed."""

    reads: Series = field(default_factory=list)
    # From a sender on one process to a receiver on the other, and on the same.
    across: Series = field(default_factory=list)
    within: Series = field(default_factory=list)
    # How much later than due each of them was sent.
    late: Series = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)


def stand_by(pipe: Connection, scene: Scene) -> None:
    """Be the process: say when all are there, go on until told to stop, and return a Seen."""
    # Its pauses would look like the server's.
    gc.disable()
    asyncio.run(_stand_by(pipe, scene))


async def _stand_by(pipe: Connection, scene: Scene) -> None:
    readers, writers = Readers(scene), Writers(scene)
    stop = asyncio.Event()
    await writers.arrive()
    pipe.send("ready")
    asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)
    late = await asyncio.gather(
        at_rate(READS, readers.read, stop), at_rate(MESSAGES, writers.write, stop)
    )
    await writers.leave()
    pipe.send(
        Seen(
            readers.took,
            writers.took["across"],
            writers.took["within"],
            [*late[0], *late[1]],
            readers.troubles + writers.troubles,
        )
    )


Deed = Callable[[int], Coroutine[Any, Any, None]]


async def at_rate(rate: float, deed: Deed, stop: asyncio.Event) -> Series:
    """Begin so many deeds a second, await them all, and return how late each began."""
    late: Series = []
    async with asyncio.TaskGroup() as under_way:
        began = time.perf_counter()
        for number in count():
            due = began + number / rate
            await asyncio.sleep(due - time.perf_counter())
            if stop.is_set():
                return late
            late.append((due, time.perf_counter() - due))
            under_way.create_task(deed(number))
    return late


class Readers:
    """Half of them are logged in. Each has a connection, which serves whoever comes next."""

    def __init__(self, scene: Scene) -> None:
        self.took: Series = []
        self.troubles: Counter[str] = Counter()
        self._scene = scene
        self._idle: dict[int, list[Browser]] = {port: [] for port in scene.ports}
        self._numbers = count()

    async def read(self, number: int) -> None:
        """Read a post, on one process and the other in turns."""
        port = self._scene.ports[number % 2]
        reader = self._scene.readers[number % len(self._scene.readers)]
        headers = {"Authorization": f"Bearer {reader.token}"} if number % 4 < 2 else {}
        path = f"/api/v1/posts/{self._scene.posts[number % len(self._scene.posts)]}"
        browser = self._idle[port].pop() if self._idle[port] else self._another(port)
        sent = time.perf_counter()
        trouble = ""
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await browser.ask("GET", path, headers)
        except (OSError, EOFError) as error:
            trouble = f"read: {type(error).__name__}"
        else:
            self._idle[port].append(browser)
            trouble = f"read: {answer.status}" if answer.status != 200 else ""
        self.took.append((sent, PATIENCE if trouble else time.perf_counter() - sent))
        if trouble:
            self.troubles[trouble] += 1

    def _another(self, port: int) -> Browser:
        return Browser(port, f"127.0.1.{next(self._numbers) % ADDRESSES + 1}")


class Writers:
    """Pairs of people with a websocket each. Of four pairs three sit on different processes."""

    def __init__(self, scene: Scene) -> None:
        self.took: dict[str, Series] = {"across": [], "within": []}
        self.troubles: Counter[str] = Counter()
        self._scene = scene
        self._sockets: dict[str, ClientConnection] = {}
        self._on_their_way: dict[str, tuple[float, str]] = {}
        self._listening: list[asyncio.Task[None]] = []
        self._all_there, self._none_left = asyncio.Event(), asyncio.Event()
        # A mark that somebody has used before would not be a new message.
        self._name = secrets.token_hex(4)

    async def arrive(self) -> None:
        """Open all sockets."""
        for number in range(PAIRS):
            here = number % 2
            there = 1 - here if self._apart(number) else here
            for person, process in (
                (self._scene.senders[number], here),
                (self._scene.receivers[number], there),
            ):
                address = f"127.0.2.{len(self._listening) % ADDRESSES + 1}"
                listening = self._listen(person, self._scene.ports[process], address)
                self._listening.append(asyncio.create_task(listening))
        await self._all_there.wait()

    async def write(self, number: int) -> None:
        """Send one message; _note() hears of its arrival."""
        pair, mark = number % PAIRS, f"{self._name}-{number}"
        data = {
            "receiverId": self._scene.receivers[pair].id,
            "content": f"a message of forty characters or so, number {number}",
            "clientId": mark,
        }
        text = orjson.dumps({"type": "chat_message", "requestId": mark, "data": data}).decode()
        which = "across" if self._apart(pair) else "within"
        self._on_their_way[mark] = time.perf_counter(), which
        try:
            async with asyncio.timeout(PATIENCE):
                await self._sockets[self._scene.senders[pair].id].send(text)
        except (KeyError, OSError, WebSocketException) as error:
            self._fail(mark, f"message: {type(error).__name__}")

    async def leave(self) -> None:
        """Wait, within bounds, until all messages have arrived, and close the sockets."""
        self._none_left.clear()
        if self._on_their_way:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_left.wait(), PATIENCE)
        for mark in tuple(self._on_their_way):
            self._fail(mark, "message: lost")
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)

    def _apart(self, pair: int) -> bool:
        return pair % 4 < 3

    async def _listen(self, person: Person, port: int, address: str) -> None:
        while True:
            try:
                async with listening_socket(port, address, person.token) as socket:
                    # What is sent before `connected` is in the state that a client then fetches,
                    # and comes in no frame.
                    await socket.recv()
                    self._sockets[person.id] = socket
                    if len(self._sockets) == 2 * PAIRS:
                        self._all_there.set()
                    async for text in socket:
                        self._note(orjson.loads(text))
                    self.troubles["socket: closed"] += 1
            except (OSError, EOFError, WebSocketException) as error:
                self.troubles[f"socket: {type(error).__name__}"] += 1
            self._sockets.pop(person.id, None)
            await asyncio.sleep(0.5)

    def _note(self, told: dict[str, Any]) -> None:
        if told["type"] == "error":
            self._fail(told.get("requestId", ""), f"message: {told['data']['code']}")
        elif told["type"] == "chat_message":
            self._settle(told["data"]["message"]["clientId"])

    def _fail(self, mark: str, trouble: str) -> None:
        if self._settle(mark, PATIENCE):
            self.troubles[trouble] += 1

    def _settle(self, mark: str, took: float | None = None) -> bool:
        """Take down how long a message took; return whether it was on its way."""
        if mark not in self._on_their_way:
            return False
        sent, which = self._on_their_way.pop(mark)
        self.took[which].append((sent, took or time.perf_counter() - sent))
        if not self._on_their_way:
            self._none_left.set()
        return True
