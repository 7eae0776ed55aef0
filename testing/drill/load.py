"""Clients that write, read and listen, and note what fails and what they miss."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from testing.server import until

PASSWORD = "correct horse 9"  # noqa: S105
# A user may send 600 messages a minute, and an address 100 requests a second.
PAUSE_SECONDS = 0.15
# What a restart or another process may change of a post: how often it was seen.
OF_A_POST = ("id", "title", "slug", "status", "publishedAt")
OF_A_MESSAGE = ("id", "content", "createdAt")


@dataclass(frozen=True)
class Server:
    """Where a server is reached, and the certificate that it proves itself with, if by TLS."""

    url: str
    trusted: ssl.SSLContext | None = None

    def client(self) -> httpx.Client:
        """Return a client that keeps its connections."""
        # Without the proxies that the environment may name. Plain HTTP needs no certificates, which
        # take long to load.
        verify = self.trusted or False
        return httpx.Client(base_url=self.url, verify=verify, timeout=30, trust_env=False)


@dataclass(frozen=True)
class User:
    """A user who is logged in."""

    id: str
    headers: dict[str, str]


def enter(server: Server, name: str, how: str = "login") -> User:
    """Return the user of that name, who logs in, or registers if that is `how`."""
    body = {"name": name, "email": f"{name.lower()}@example.com", "password": PASSWORD}
    with server.client() as client:
        answer = client.post(f"/api/v1/auth/{how}", json=body).raise_for_status().json()["data"]
    return User(answer["user"]["id"], {"Authorization": f"Bearer {answer['accessToken']}"})


def write_some(server: Server) -> None:
    """Have Ada, Ben and Cleo register, and Ada write posts and messages."""
    ada, ben, _ = (enter(server, name, "register") for name in ("Ada", "Ben", "Cleo"))
    with server.client() as client:
        for number in range(5):
            post = {"title": f"Log {number}", "content": "Ahoy there", "status": "published"}
            client.post("/api/v1/posts", json=post, headers=ada.headers).raise_for_status()
            message = {"receiverId": ben.id, "content": f"Ahoy {number}"}
            client.post("/api/v1/messages", json=message, headers=ada.headers).raise_for_status()


@dataclass(frozen=True)
class Shown:
    """What the API shows: all posts, and all messages of Ada and Ben, the oldest first."""

    posts: list[dict[str, Any]]
    messages: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"{len(self.posts)} posts and {len(self.messages)} messages"


def shown(server: Server) -> Shown:
    """Return what the API shows to Ada, who logs in with the password that Ada has."""
    ada, ben = enter(server, "Ada"), enter(server, "Ben")
    with server.client() as client:

        def pages(path: str, fields: tuple[str, ...], **query: str) -> Iterator[dict[str, Any]]:
            cursor: str | None = ""
            while cursor is not None:
                asked = {"limit": "100", "cursor": cursor, **query}
                answer = client.get(path, params=asked, headers=ada.headers).raise_for_status()
                yield from ({name: row[name] for name in fields} for row in answer.json()["data"])
                cursor = answer.json()["pagination"]["nextCursor"] or None

        return Shown(
            list(pages("/api/v1/posts", OF_A_POST))[::-1],
            list(pages("/api/v1/messages", OF_A_MESSAGE, userId=ben.id))[::-1],
        )


class Load:
    """Ada writes over connections that stay, Cleo over a new one each time, and Ben listens."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self._nothing_comes = threading.Event()
        self._noted = threading.Lock()
        self.served = 0
        self.failed: list[str] = []
        self._sent: set[str] = set()
        self._ben = enter(server, "Ben")
        self._listener = Listener(server, self._ben, self._fails, self._nothing_comes)
        self._threads = [
            threading.Thread(target=self._listener.listen),
            threading.Thread(target=self._write, args=[enter(server, "Ada"), True]),
            threading.Thread(target=self._write, args=[enter(server, "Cleo"), False]),
        ]

    def __enter__(self) -> "Load":
        # Ben receives all from the first message on.
        listener, *writers = self._threads
        listener.start()
        try:
            until(lambda: self._listener.connections or self.failed, seconds=60)
        except BaseException:
            self._nothing_comes.set()
            raise
        for writer in writers:
            writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        listener, *writers = self._threads
        self._ended.set()
        for writer in writers:
            writer.join()
        # What was sent last may still be on its way, unless the server is gone.
        with suppress(AssertionError):
            until(lambda: self.failed or not self.missed(), seconds=30)
        self._nothing_comes.set()
        listener.join()

    def goes_on(self) -> None:
        """Return after more requests."""
        before = self.served
        until(lambda: self.served > before + 20, seconds=60)

    def missed(self) -> int:
        """Return how many of the messages sent so far have not reached Ben yet."""
        with self._noted:
            return len(self._sent - self._listener.received)

    def __str__(self) -> str:
        return (
            f"{self.served} requests, {len(self.failed)} failed; {len(self._sent)} messages sent, "
            f"{self.missed()} missed over {self._listener.connections} websockets"
        )

    def check(self) -> None:
        """Fail if, now that it has ended, a request has failed or a message was missed."""
        assert not self.missed(), str(self)
        assert not self.failed, f"{self}: {self.failed[:5]}"

    def _fails(self, why: str) -> None:
        with self._noted:
            self.failed.append(why)

    def _write(self, user: User, stays: bool) -> None:
        with ExitStack() as kept:
            client = kept.enter_context(self._server.client()) if stays else None
            while not self._ended.wait(PAUSE_SECONDS):
                message = {"receiverId": self._ben.id, "content": f"Message {self.served}"}
                sent = self._call(client, user, "POST", "/api/v1/messages", json=message)
                if sent:
                    with self._noted:
                        self._sent.add(sent["data"]["id"])
                self._call(client, user, "GET", f"/api/v1/messages?userId={self._ben.id}")
                self._call(client, user, "GET", "/api/v1/posts")

    def _call(
        self, kept: httpx.Client | None, user: User, method: str, path: str, **options: Any
    ) -> Any:
        """Return the answer to a request, or None if it failed."""
        with ExitStack() as opened:
            client = kept or opened.enter_context(self._server.client())
            try:
                answer = client.request(method, path, headers=user.headers, **options)
            except httpx.TransportError as error:
                self._fails(f"{method} {path}: {error!r}")
                return None
            finally:
                with self._noted:
                    self.served += 1
        if not answer.is_success:
            self._fails(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            return None
        return answer.json()


class Listener:
    """A websocket client that comes back after each close, by the rules of docs/realtime.md."""

    def __init__(
        self, server: Server, user: User, fails: Callable[[str], None], ended: threading.Event
    ) -> None:
        self._server = server
        self._user = user
        self._fails = fails
        self._ended = ended
        self._stream = f"user.{user.id}"
        self._last: int | None = None
        self._epoch = ""
        self._asked = False
        self.connections = 0
        self.received: set[str] = set()

    def listen(self) -> None:
        """Receive events until the end."""
        while not self._ended.is_set():
            try:
                with self._connected() as connection:
                    while not self._ended.is_set():
                        with suppress(TimeoutError):
                            self._take(connection, json.loads(connection.recv(timeout=0.2)))
            except ConnectionClosed:
                # A restart closes it. The next connection tells whether anything is lost.
                pass
            except (OSError, WebSocketException) as error:
                self._fails(f"websocket: {error!r}")
            self._ended.wait(0.2)

    def _connected(self) -> ClientConnection:
        return connect(
            f"{self._server.url.replace('http', 'ws', 1)}/ws",
            additional_headers=self._user.headers,
            ssl=self._server.trusted,
            proxy=None,
        )

    def _take(self, connection: ClientConnection, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "connected":
                self._catch_up(connection, frame["data"]["streams"])
            case "subscribed":
                self._epoch, self._asked = frame["data"]["epoch"], False
            case "reset":
                self._fails(f"websocket: reset of {self._stream}")
        if frame.get("stream") != self._stream:
            return
        if self._last is not None and frame["seq"] > self._last + 1:
            # What happens between the first frame and the answer arrives at once, and once more
            # after those that are missing before it.
            if self._asked:
                return
            self._fails(f"websocket: event {frame['seq']} came after {self._last}")
        self._last = max(self._last or 0, frame["seq"])
        if frame["type"] == "chat_message":
            self.received.add(frame["data"]["message"]["id"])

    def _catch_up(self, connection: ClientConnection, streams: Any) -> None:
        """Ask for what came since the last connection."""
        data: dict[str, Any] = {"stream": self._stream}
        if self._last is not None:
            data |= {"after": self._last, "epoch": self._epoch}
        connection.send(json.dumps({"type": "subscribe", "data": data}))
        self._asked = True
        self.connections += 1
