"""Writers who change posts and readers who read them at the same time, and what readers may see."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from apps.accounts.tests.people import Person


@dataclass(frozen=True)
class State:
    """What a change made of a post: its version, None if nobody but the author sees it."""

    shown: int | None
    sent: float
    # When its writer was answered.
    answered: float


@dataclass
class Story:
    """The states of one post or of one name, in their order."""

    states: list[State]

    def allows(self, shown: int | None, begun: float, ended: float, bound: float) -> bool:
        """Return whether a reader may be shown that, who asked at `begun` and was answered at
        `ended`: not what a change replaced that was answered `bound` seconds before they asked."""
        answered = [n for n, one in enumerate(self.states) if one.answered <= begun - bound]
        sent = [n for n, one in enumerate(self.states) if one.sent <= ended]
        return any(one.shown == shown for one in self.states[max(answered) : max(sent) + 1])


@dataclass
class Writer:
    """A user who changes their post and their name again and again."""

    person: Person
    post: str
    version: int = 1
    versions: Story = field(default_factory=lambda: Story([State(1, 0, 0)]))
    names: Story = field(default_factory=lambda: Story([State(0, 0, 0)]))

    async def write(
        self, client: "Client", goes_on: Callable[[], bool], chance: random.Random
    ) -> None:
        """Change, archive, restore and rename until the end, and then delete."""
        public = True
        while goes_on():
            action = chance.choice(["retitle", "name", "status"])
            if action == "retitle":
                body = {"title": f"Title {chance.random()}"}
                await self._change(client, "PATCH", f"/posts/{self.post}", body, public=public)
            elif action == "name":
                number = len(self.names.states)
                sent = time.monotonic()
                self.names.states.append(State(number, sent, math.inf))
                await client.ask("PATCH", "/auth/profile", self.person, {"name": f"No {number}"})
                self.names.states[-1] = State(number, sent, time.monotonic())
            elif public:
                public = False
                body = {"status": "archived"}
                await self._change(client, "PATCH", f"/posts/{self.post}", body, public=False)
            else:
                public = True
                await self._change(client, "POST", f"/posts/{self.post}/publish", {}, public=True)
        await self._change(client, "DELETE", f"/posts/{self.post}", None, public=False)

    async def _change(
        self, client: "Client", method: str, path: str, body: Any, *, public: bool
    ) -> None:
        self.version += 1
        shown = self.version if public else None
        sent = time.monotonic()
        # A reader may see it before its writer is answered.
        self.versions.states.append(State(shown, sent, math.inf))
        status, data = await client.ask(method, path, self.person, body)
        assert status == 200, data
        self.versions.states[-1] = State(shown, sent, time.monotonic())


@dataclass
class Readers:
    """Users and anonymous users who read the posts of writers. `bounds` are how many seconds old
    an answer may be, by the port of the process."""

    writers: Sequence[Writer]
    bounds: Mapping[int, float]
    wrong: list[str] = field(default_factory=list)
    count: int = 0

    def go_on_until(self, end: float) -> Callable[[], bool]:
        """Return what tells whether the end has not come, and nothing was too old yet."""
        return lambda: time.monotonic() < end and not self.wrong

    async def read(
        self, person: Person | None, goes_on: Callable[[], bool], chance: random.Random
    ) -> None:
        """Read until the end, and note what is too old."""
        clients = {port: Client(port) for port in self.bounds}
        while goes_on():
            writer, port = chance.choice(self.writers), chance.choice(list(self.bounds))
            begun = time.monotonic()
            status, data = await clients[port].ask("GET", f"/posts/{writer.post}", person)
            ended, bound = time.monotonic(), self.bounds[port]
            assert status in {200, 404}, data
            self.count += 1
            shown = data["version"] if status == 200 else None
            if not writer.versions.allows(shown, begun, ended, bound):
                self.wrong.append(f"version {shown} on {port} is too old")
            name = data["author"]["name"] if status == 200 else ""
            if name.startswith("No ") and not writer.names.allows(
                int(name[3:]), begun, ended, bound
            ):
                self.wrong.append(f"{name} on {port} is too old")
        for client in clients.values():
            client.close()


class Client:
    """One connection to a process."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, person: Person | None, body: Any = None
    ) -> tuple[int, Any]:
        """Return the status and the data of the response to one request below /api/v1."""
        # The server closes a connection that lies idle while a reader waits for another process.
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        content = b"" if body is None else orjson.dumps(body)
        lines = [f"{method} /api/v1{path} HTTP/1.1", "Host: 127.0.0.1", "User-Agent: a bot"]
        if person is not None:
            lines.append(f"Authorization: Bearer {person.access}")
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        answer = orjson.loads(await reader.readexactly(length))
        return int(head.split(" ", 2)[1]), answer.get("data", answer)

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()


async def write_and_read(
    writers: Sequence[Writer],
    ports: Sequence[int],
    reader: Person,
    readers: int,
    *,
    elsewhere: float,
    seconds: float,
) -> Readers:
    """Let writers write to the first process, and so many readers, half of them logged in, read in
    all of them; return what they saw. `elsewhere` is how many seconds old an answer of another
    process may be. The readers go on for a little longer than that, so that they would see what is
    kept for ever. All end with the first answer that is too old."""
    crowd = Readers(writers, {port: elsewhere if port != ports[0] else 0.0 for port in ports})
    end = time.monotonic() + seconds
    written, read = crowd.go_on_until(end), crowd.go_on_until(end + elsewhere + 0.5)
    async with asyncio.TaskGroup() as tasks:
        for number, writer in enumerate(writers):
            tasks.create_task(writer.write(Client(ports[0]), written, random.Random(number)))
        for number in range(readers):
            person = reader if number % 2 else None
            tasks.create_task(crowd.read(person, read, random.Random(number)))
    return crowd
