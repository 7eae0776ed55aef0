"""The client of the experiments: one device that follows docs/realtime.md, "Losing no event".

All that the experiments know of Parley's websocket is here, and of its routes here and in `people`.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from testing.chaos.journal import Applied, Arrival, DeviceJournal, Part
from testing.chaos.processes import Web

ANSWER_SECONDS = 5.0
# Libraries answer pings by themselves; with these a link that is dead is noticed.
PING_SECONDS = 4.0
# What says nothing about whether the server has it.
UNCERTAIN = {"SERVICE_UNAVAILABLE", "INTERNAL_ERROR", "RATE_LIMIT_EXCEEDED"}
FAILED = (OSError, TimeoutError, WebSocketException, httpx.HTTPError)

_request_ids = count(1)


class Unanswered(Exception):
    """Nobody knows whether the server did it."""


class Refused(Exception):
    """The server refused it."""


class Device:
    """A device of one user, online until it leaves. It prefers one of the web processes and goes to
    the next one after each connection that ends.

    `careless` applies every number that comes. `losing` is how many events the device loses after
    they arrived, as an app does that is killed between the socket and its store.
    """

    def __init__(
        self,
        user: str,
        token: str,
        name: str,
        webs: list[Web],
        rng: random.Random,
        *,
        careless: bool = False,
    ) -> None:
        self.journal = DeviceJournal(user, name)
        self.headers = {"Authorization": f"Bearer {token}"}
        self.careless = careless
        self.losing = 0
        self.wanted = {f"user.{user}", "feed"}
        self._webs = webs
        self._rng = rng
        self._tries = 0
        self._epochs: dict[str, str] = {}
        self._asking: set[str] = set()
        self._socket: ClientConnection | None = None
        self._connected = asyncio.Event()
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()

    # Connecting.

    def come(self) -> None:
        """Be online from now on."""
        self._task = asyncio.create_task(self._stay_online())

    async def leave(self) -> None:
        """Be offline from now on."""
        for task in (self._task, *self._work):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def online(self, seconds: float = 60.0) -> None:
        """Wait until the device is connected and subscribed to all it wants."""
        async with asyncio.timeout(seconds):
            await self._connected.wait()
            while self.wanted - self._epochs.keys():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    @property
    def web(self) -> Web:
        """Return the process that the device is connected to, or tries next."""
        return self._webs[self._tries % len(self._webs)]

    async def _stay_online(self) -> None:
        while True:
            try:
                async with connect(
                    f"ws://127.0.0.1:{self.web.link.port}/ws",
                    additional_headers=self.headers,
                    proxy=None,
                    compression=None,
                    max_queue=None,
                    open_timeout=5,
                    close_timeout=0.2,
                    ping_interval=PING_SECONDS,
                    ping_timeout=PING_SECONDS,
                ) as self._socket:
                    await self._receive(self._socket)
            except FAILED:
                pass
            finally:
                self._lose_connection()
            self._tries += 1
            await asyncio.sleep(self._rng.uniform(0.1, 0.6))

    def _lose_connection(self) -> None:
        self._socket = None
        self._connected.clear()
        self._asking.clear()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(Unanswered())
        self._answers.clear()

    async def _receive(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for text in socket:
                self._take(orjson.loads(text))

    # Frames.

    async def ask(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data of the answer to a command; raise Refused or Unanswered."""
        socket, request_id = self._socket, f"r{next(_request_ids)}"
        if socket is None:
            raise Unanswered
        future = asyncio.get_running_loop().create_future()
        self._answers[request_id] = future
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await socket.send(
                    orjson.dumps({"type": kind, "data": data, "requestId": request_id}).decode()
                )
                frame: dict[str, Any] = await future
        except (TimeoutError, WebSocketException, OSError) as error:
            raise Unanswered from error
        finally:
            self._answers.pop(request_id, None)
        answered: dict[str, Any] = frame["data"]
        if frame["type"] == "error":
            raise Unanswered if answered["code"] in UNCERTAIN else Refused(answered["code"])
        return answered

    def _take(self, frame: dict[str, Any]) -> None:
        data = frame["data"]
        match frame["type"]:
            case "connected":
                self._take_connected(data["streams"])
            case "heartbeat" | "pong":
                self._compare_all(data["streams"])
            case "subscribed" | "reset" as kind:
                self._begin(data["stream"], data, reset=kind == "reset")
            case "unsubscribed":
                self._asking.discard(data["stream"])
            case _ if "seq" in frame:
                self._take_event(frame)
        waiting = self._answers.get(frame.get("requestId", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    def _take_connected(self, heads: Mapping[str, int]) -> None:
        """Ask for all streams, also where the head is the same: a restored log may have reached it
        by other events (rule 3)."""
        for stream in self.journal.parts.keys() | heads.keys():
            self._note(stream, None)
        for stream in heads.keys() | self.wanted:
            self._subscribe(stream, first=heads.get(stream))
        self._connected.set()

    def _compare_all(self, heads: Mapping[str, int]) -> None:
        for stream, head in heads.items():
            self._compare(stream, head)

    def _begin(self, stream: str, data: Mapping[str, Any], *, reset: bool) -> None:
        """Note a new subscription: it goes on where the device is, or at the head."""
        self._note(stream, None)
        self._asking.discard(stream)
        parts = self.journal.parts.setdefault(stream, [])
        if reset and parts:
            self._spawn(self._fetch())
        # A group that the device was put into begins with the first event that it is sent.
        if reset or not (parts or data["recovered"]):
            parts.append(Part(data["head"]))
        self._epochs[stream] = data["epoch"]

    def _take_event(self, frame: dict[str, Any]) -> None:
        """Apply the next number, drop one that is known, and ask for what is missing (rule 2)."""
        stream, seq = frame["stream"], frame["seq"]
        self._note(stream, seq)
        if self.losing:
            self.losing -= 1
            return
        parts = self.journal.parts.setdefault(stream, [])
        if not parts:
            parts.append(Part(seq - 1))
        last = parts[-1].last
        if seq == last + 1 or (self.careless and seq > last):
            parts[-1].events.append(_applied(frame))
            if self._epochs.get(stream) == "":
                # It had no event, and so no epoch, when the device subscribed.
                self._subscribe(stream)
        elif seq > last + 1:
            self._subscribe(stream)

    def _compare(self, stream: str, head: int) -> None:
        """Ask for what is missing if a head differs from what the device has (rule 4)."""
        parts = self.journal.parts.get(stream)
        if not parts or stream not in self._epochs or parts[-1].last != head:
            self._subscribe(stream, first=head)

    def _subscribe(self, stream: str, first: int | None = None) -> None:
        """Subscribe after the last number, or else after the first one that is known."""
        if stream in self._asking:
            return
        self._asking.add(stream)
        data: dict[str, Any] = {"stream": stream}
        parts = self.journal.parts.get(stream)
        if parts:
            data |= {"after": parts[-1].last}
            if self._epochs.get(stream):
                data |= {"epoch": self._epochs[stream]}
        elif first is not None:
            self.journal.parts[stream] = [Part(first)]
            data |= {"after": first}
        self._spawn(self._ask_to_subscribe(stream, data))

    async def _ask_to_subscribe(self, stream: str, data: Mapping[str, Any]) -> None:
        try:
            await self.ask("subscribe", data)
        except Unanswered:
            # Not subscribed, says the document, so the next heartbeat may not name the stream.
            self._asking.discard(stream)
            await asyncio.sleep(0.5)
            if self._connected.is_set():
                self._subscribe(stream)
        except Refused:
            self._asking.discard(stream)

    async def _fetch(self) -> None:
        """Fetch the state over HTTP, after a reset (rule 5)."""
        while True:
            try:
                self.journal.fetched |= await fetch_all(self.web, self.headers)
            except FAILED:
                await asyncio.sleep(0.5)
            else:
                return

    def _note(self, stream: str, seq: int | None) -> None:
        self.journal.arrivals.append(Arrival(stream, seq, time.monotonic()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


def _applied(frame: Mapping[str, Any]) -> Applied:
    data = frame["data"]
    thing = data.get("message") or data.get("post") or {}
    notification = data.get("notification") or {}
    subject = thing.get("id") or notification.get("id") or data.get("messageId") or ""
    # A post has no client id. Its title is one.
    client_id = thing.get("clientId") or thing.get("title") or ""
    return Applied(frame["seq"], frame["type"], subject, client_id, time.monotonic())


async def fetch_all(web: Web, headers: Mapping[str, str]) -> set[str]:
    """Return the ids of all that the API shows to a user: direct messages and posts; raise
    httpx.HTTPError."""
    direct = await fetch_messages(web, headers)
    posts = [row["id"] async for row in pages(web, headers, "/api/v1/posts")]
    return {row["id"] for row in direct} | set(posts)


async def fetch_messages(web: Web, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return all direct messages that the API shows to a user; raise httpx.HTTPError."""
    peers = [row["userId"] async for row in pages(web, headers, "/api/v1/messages/conversations")]
    return [
        row for peer in peers async for row in pages(web, headers, "/api/v1/messages", userId=peer)
    ]


async def pages(
    web: Web, headers: Mapping[str, str], path: str, **query: str
) -> AsyncIterator[dict[str, Any]]:
    """Yield the rows of all pages of a list; raise httpx.HTTPError."""
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": "100", "cursor": cursor, **query}
        answer = await web.http.get(path, params=asked, headers=headers)
        body = answer.raise_for_status().json()
        for row in body["data"]:
            yield row
        cursor = body["pagination"]["nextCursor"] or None


async def call(
    web: Web, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the body of the answer to a request; raise Refused or Unanswered."""
    try:
        answer = await web.http.request(method, path, headers=headers, json=body)
    except FAILED as error:
        raise Unanswered from error
    # 409 says that the first try with this Idempotency-Key is still running.
    if answer.status_code >= 500 or answer.status_code in {408, 409, 429}:
        raise Unanswered
    given: dict[str, Any] = answer.json() if answer.content else {}
    if answer.is_success:
        return given
    raise Refused(given.get("code", str(answer.status_code)))
