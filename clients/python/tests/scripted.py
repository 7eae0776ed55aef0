"""A server whose every frame a test decides, and the client that is tested with it."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.server import ServerConnection, serve

from parley_client import Backoff, Client, Event, Timing

USER = "user.1"


class Earliest(random.Random):
    """Chance that always picks the shortest delay, and notes what it was asked for. Delays of a
    second or more are as short as others, so that a test need not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        """Return no delay."""
        self.asked.append((a, b))
        return 0.0


def brisk(**changes: Any) -> Timing:
    """Return the timing of tests: it comes back at once."""
    return Timing(**{"backoff": Backoff(first=0.01, most=0.1), **changes})


@dataclass
class Tokens:
    """Access tokens that are numbered, with those that the server rejected."""

    rejected: list[str] = field(default_factory=list)
    number: int = 1

    async def token(self, http: httpx.AsyncClient, rejected: str) -> str:
        """Return the present token, or the next one if that was rejected."""
        if rejected == f"token-{self.number}":
            self.rejected.append(rejected)
            self.number += 1
        return f"token-{self.number}"


class Peer:
    """The server's end of one websocket."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection

    @property
    def token(self) -> str:
        """Return the credentials that it was opened with."""
        assert self.connection.request is not None
        return self.connection.request.headers.get("Authorization", "")

    async def connected(self, **streams: int) -> None:
        """Send the first frame, with the head of the user's stream and of others."""
        heads = {USER: 0} | streams
        await self.send("connected", {"clientId": "s1", "streams": heads})

    async def send(self, kind: str, data: Any, **more: Any) -> None:
        """Send a frame."""
        await self.connection.send(json.dumps({"type": kind, "data": data, **more}))

    async def event(self, seq: int, stream: str = USER) -> None:
        """Send an event whose data is its number."""
        await self.send("chat_message", {"number": seq}, stream=stream, seq=seq)

    async def expect(self, kind: str) -> dict[str, Any]:
        """Return the next frame of the client, which must be of that type."""
        async with asyncio.timeout(5):
            frame: dict[str, Any] = json.loads(await self.connection.recv())
        assert frame["type"] == kind, frame
        return frame

    async def answer(self, asked: dict[str, Any], kind: str, data: Any) -> None:
        """Answer a frame of the client."""
        await self.send(kind, data, requestId=asked["requestId"])

    async def resume(self, head: int, *, epoch: str = "one", stream: str = USER) -> dict[str, Any]:
        """Expect that the client subscribes to a stream, and answer; return what it asked for."""
        asked = await self.expect("subscribe")
        assert asked["data"]["stream"] == stream
        data = {"stream": stream, "head": head, "epoch": epoch}
        await self.answer(asked, "subscribed", {**data, "recovered": "after" in asked["data"]})
        return dict(asked["data"])

    async def acknowledge(self, asked: dict[str, Any], seq: int = 1) -> None:
        """Answer a message as stored."""
        message = {"id": f"m{seq}", "conversationId": "c", "seq": seq, "senderId": "1"}
        message |= {"createdAt": "2026-01-31T12:00:00Z", **asked["data"]}
        await self.answer(asked, "ack", {"message": message})


class ScriptedServer:
    """Accepts websockets, which a test then speaks for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.arrivals: asyncio.Queue[Peer] = asyncio.Queue()
        self.opened = 0

    async def next(self) -> Peer:
        """Return the next websocket that the client opens."""
        async with asyncio.timeout(5):
            return await self.arrivals.get()

    async def arrive(self, connection: ServerConnection) -> None:
        """Hand a websocket to the test until it is closed."""
        self.opened += 1
        await self.arrivals.put(Peer(connection))
        await connection.wait_closed()


@asynccontextmanager
async def scripted() -> AsyncIterator[ScriptedServer]:
    """Run a server within the block."""
    server = ScriptedServer("")
    async with serve(server.arrive, "127.0.0.1", 0, close_timeout=0.2) as running:
        server.url = f"http://127.0.0.1:{next(iter(running.sockets)).getsockname()[1]}"
        yield server


Scenario = Callable[[ScriptedServer, Client], Awaitable[None]]


def play(scenario: Scenario, *, tokens: Tokens | None = None, **options: Any) -> None:
    """Play a scenario with a server and a client of it."""

    async def run() -> None:
        given = {"timing": brisk(), **options}
        async with (
            asyncio.timeout(20),
            scripted() as server,
            Client(server.url, tokens or Tokens(), **given) as client,
        ):
            await scenario(server, client)

    asyncio.run(run())


class Listener:
    """What the application gets, read as it comes."""

    def __init__(self, client: Client) -> None:
        self._events = aiter(client.events())

    async def next(self) -> Event:
        """Return the next event."""
        async with asyncio.timeout(5):
            return await anext(self._events)

    async def take(self, count: int) -> list[tuple[str, int | None]]:
        """Return type and number of so many events."""
        got = [await self.next() for _ in range(count)]
        return [(event.type, event.seq) for event in got]


def messages(*numbers: int) -> list[tuple[str, int | None]]:
    """Return how a listener shows the events with these numbers."""
    return [("chat_message", number) for number in numbers]
