"""Users who read posts and send each other messages while another client misbehaves.

They run in a process of their own, so that no other work delays their clock, and each has their own
address. The load is an open loop: each request is sent when it is due, whatever the server has
answered until then.
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

from bench.clients import Browser, open_socket
from bench.servers import User

# Per second, in both processes of the server together.
READS = 40
MESSAGES = 40
PAIRS = 24
# A request that takes longer, in seconds, has failed.
PATIENCE = 10.0
ADDRESSES = 250


@dataclass(frozen=True)
class Scene:
    """The two processes of a server, the posts, and the users who read and write."""

    ports: tuple[int, int]
    posts: list[str]
    readers: list[User]
    senders: list[User]
    receivers: list[User]


Series = list[tuple[float, float]]


@dataclass
class Seen:
    """What they measured: when each request was sent and the seconds that it took, PATIENCE if it
    failed."""

    reads: Series = field(default_factory=list)
    # From a sender on one process to a receiver on the other, and on the same.
    across: Series = field(default_factory=list)
    within: Series = field(default_factory=list)
    # How many seconds later than due each request was sent.
    late: Series = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)


def observe(pipe: Connection, scene: Scene) -> None:
    """Run as the process: send "ready", observe until the pipe says stop, and send a Seen."""
    # Pauses of the collector would look like those of the server.
    gc.disable()
    asyncio.run(_observe(pipe, scene))


async def _observe(pipe: Connection, scene: Scene) -> None:
    readers, writers = Readers(scene), Writers(scene)
    stop = asyncio.Event()
    await writers.connect()
    pipe.send("ready")
    asyncio.get_running_loop().add_reader(pipe.fileno(), stop.set)
    late = await asyncio.gather(
        at_rate(READS, readers.read, stop), at_rate(MESSAGES, writers.write, stop)
    )
    await writers.finish()
    pipe.send(
        Seen(
            readers.took,
            writers.took["across"],
            writers.took["within"],
            [*late[0], *late[1]],
            readers.failures + writers.failures,
        )
    )


Action = Callable[[int], Coroutine[Any, Any, None]]


async def at_rate(rate: float, action: Action, stop: asyncio.Event) -> Series:
    """Begin so many actions per second, await them all, and return how late each began."""
    late: Series = []
    async with asyncio.TaskGroup() as under_way:
        began = time.perf_counter()
        for number in count():
            due = began + number / rate
            await asyncio.sleep(due - time.perf_counter())
            if stop.is_set():
                return late
            late.append((due, time.perf_counter() - due))
            under_way.create_task(action(number))
    return late


class Readers:
    """Users who read posts, half of them logged in. An idle connection serves the next of them."""

    def __init__(self, scene: Scene) -> None:
        self.took: Series = []
        self.failures: Counter[str] = Counter()
        self._scene = scene
        self._idle: dict[int, list[Browser]] = {port: [] for port in scene.ports}
        self._numbers = count()

    async def read(self, number: int) -> None:
        """Read a post, on the two processes in turn."""
        port = self._scene.ports[number % 2]
        reader = self._scene.readers[number % len(self._scene.readers)]
        headers = {"Authorization": f"Bearer {reader.token}"} if number % 4 < 2 else {}
        path = f"/api/v1/posts/{self._scene.posts[number % len(self._scene.posts)]}"
        browser = self._idle[port].pop() if self._idle[port] else self._new_browser(port)
        sent = time.perf_counter()
        failure = ""
        try:
            async with asyncio.timeout(PATIENCE):
                response = await browser.request("GET", path, headers)
        except (OSError, EOFError) as error:
            failure = f"read: {type(error).__name__}"
        else:
            self._idle[port].append(browser)
            failure = f"read: {response.status}" if response.status != 200 else ""
        self.took.append((sent, PATIENCE if failure else time.perf_counter() - sent))
        if failure:
            self.failures[failure] += 1

    def _new_browser(self, port: int) -> Browser:
        return Browser(port, f"127.0.1.{next(self._numbers) % ADDRESSES + 1}")


class Writers:
    """Pairs of users with a websocket each. Three of four pairs are on different processes."""

    def __init__(self, scene: Scene) -> None:
        self.took: dict[str, Series] = {"across": [], "within": []}
        self.failures: Counter[str] = Counter()
        self._scene = scene
        self._sockets: dict[str, ClientConnection] = {}
        self._under_way: dict[str, tuple[float, str]] = {}
        self._listening: list[asyncio.Task[None]] = []
        self._all_connected, self._none_left = asyncio.Event(), asyncio.Event()
        # A client id that was used before would not make a new message.
        self._name = secrets.token_hex(4)

    async def connect(self) -> None:
        """Open all sockets."""
        for number in range(PAIRS):
            here = number % 2
            there = 1 - here if self._apart(number) else here
            for user, process in (
                (self._scene.senders[number], here),
                (self._scene.receivers[number], there),
            ):
                address = f"127.0.2.{len(self._listening) % ADDRESSES + 1}"
                listening = self._listen(user, self._scene.ports[process], address)
                self._listening.append(asyncio.create_task(listening))
        await self._all_connected.wait()

    async def write(self, number: int) -> None:
        """Send one message; _record() notes its arrival."""
        pair, mark = number % PAIRS, f"{self._name}-{number}"
        data = {
            "receiverId": self._scene.receivers[pair].id,
            "content": f"a message of forty characters or so, number {number}",
            "clientId": mark,
        }
        text = orjson.dumps({"type": "chat_message", "requestId": mark, "data": data}).decode()
        which = "across" if self._apart(pair) else "within"
        self._under_way[mark] = time.perf_counter(), which
        try:
            async with asyncio.timeout(PATIENCE):
                await self._sockets[self._scene.senders[pair].id].send(text)
        except (KeyError, OSError, WebSocketException) as error:
            self._fail(mark, f"message: {type(error).__name__}")

    async def finish(self) -> None:
        """Wait, within bounds, until all messages have arrived, and close the sockets."""
        self._none_left.clear()
        if self._under_way:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_left.wait(), PATIENCE)
        for mark in tuple(self._under_way):
            self._fail(mark, "message: lost")
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)

    def _apart(self, pair: int) -> bool:
        return pair % 4 < 3

    async def _listen(self, user: User, port: int, address: str) -> None:
        while True:
            try:
                async with open_socket(port, address, user.token) as socket:
                    # A message that was sent before `connected` is in the state that a client
                    # fetches after it, and comes in no frame.
                    await socket.recv()
                    self._sockets[user.id] = socket
                    if len(self._sockets) == 2 * PAIRS:
                        self._all_connected.set()
                    async for text in socket:
                        self._record(orjson.loads(text))
                    self.failures["socket: closed"] += 1
            except (OSError, EOFError, WebSocketException) as error:
                self.failures[f"socket: {type(error).__name__}"] += 1
            self._sockets.pop(user.id, None)
            await asyncio.sleep(0.5)

    def _record(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "error":
            self._fail(frame.get("requestId", ""), f"message: {frame['data']['code']}")
        elif frame["type"] == "chat_message":
            self._settle(frame["data"]["message"]["clientId"])

    def _fail(self, mark: str, failure: str) -> None:
        if self._settle(mark, PATIENCE):
            self.failures[failure] += 1

    def _settle(self, mark: str, took: float | None = None) -> bool:
        """Record how long a message took; return whether it was under way."""
        if mark not in self._under_way:
            return False
        sent, which = self._under_way.pop(mark)
        self.took[which].append((sent, took or time.perf_counter() - sent))
        if not self._under_way:
            self._none_left.set()
        return True
