"""One websocket: who is behind it, what it says, and what waits to be sent to it."""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any

import orjson
import structlog
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from apps.core.errors import BadRequest, Busy, DomainError, NotFound
from apps.core.http.envelope import dumps, timestamp
from apps.core.http.handler import as_domain_error
from apps.core.ids import uuid7
from apps.realtime import closing, eager, registry
from apps.realtime.frames import render, user_stream
from apps.realtime.hub import Hub, hub
from apps.realtime.presence import Arrival, TooManySockets, announce_online, presence
from apps.realtime.registry import Gate
from apps.realtime.sockets import Device, Visitor
from apps.realtime.threads import in_thread, later
from apps.realtime.transport import HEARTBEAT_SECONDS

log = structlog.get_logger("parley.socket")

STRIKES = 3
# Characters that may wait for a slow reader, beyond what the transport buffers, before it is cut
# off. With ten sockets a person can have no more than ten times as much kept.
OUTBOX = 1024 * 1024
# How long a client that is told to go may take to read the word, in seconds.
LAST_WORD = 5.0

_numbers = itertools.count()


class SocketConsumer(AsyncConsumer):
    """Answers the frames of one client and sends it those of its streams.

    It has no channel of its own on the layer: the hub calls push(). Replies are sent in the order
    of the frames that they answer, since those are handled one by one.
    """

    visitor: Visitor
    device: Device
    scope: Any
    base_send: Any

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.number = next(_numbers)
        self.id = str(uuid7())
        self.streams: set[str] = set()
        self.welcomed = False
        self.closed = False
        self._hub: Hub | None = None
        self._strikes = 0
        self._request_id: str | None = None
        self._outbox: deque[str] = deque()
        self._outbox_size = 0
        self._draining: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the socket until it is closed.

        Channels' own version keeps a task more per socket, and makes a thread hop per message for
        database connections that no consumer here uses on the loop.
        """
        self.scope = scope
        self.base_send = send
        try:
            while True:
                message = await receive()
                await getattr(self, message["type"].replace(".", "_"))(message)
        except StopConsumer:
            pass
        finally:
            self.closed = True
            await self._leave()

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        """Let the visitor in, or answer why not before the upgrade where the server can."""
        try:
            self.visitor, user = await in_thread(self._gate.admit, self.scope)
            device = Device(self.visitor.user_id, self.visitor.session_id, self.id)
            arrival = await in_thread(presence().enter, device)
        except TooManySockets as error:
            await self.base_send({"type": "websocket.accept"})
            await self._close(closing.TOO_MANY_SOCKETS)
            raise StopConsumer from error
        except Exception as error:
            await self._turn_away(as_domain_error(error))
            raise StopConsumer from error
        self.device = device
        self._hub = hub(self._gate)
        self._hub.add(self)
        await self.base_send({"type": "websocket.accept"})
        await self._welcome(user)
        if arrival is not None:
            self._hub.spawn(self._announce(arrival))
        log.info("connected", client=self.id, user_id=str(self.visitor.user_id))

    async def _announce(self, arrival: Arrival) -> None:
        # Beside: the others need not be told for this one to be served.
        try:
            await in_thread(announce_online, arrival)
        except Exception:
            log.warning("arrival not told", client=self.id, exc_info=True)

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        """Stop serving."""
        raise StopConsumer

    async def _leave(self) -> None:
        """Forget the socket."""
        if self._hub is None:
            return
        try:
            await in_thread(presence().leave, self.device)
        except Busy:
            # A socket that stayed would keep its person online for ever.
            later(partial(presence().leave, self.device))
        finally:
            # Last, so that who sees no sockets any more sees none that is still at work.
            self._hub.remove(self)
        log.info("disconnected", client=self.id, user_id=str(self.visitor.user_id))

    def close_soon(self, code: int) -> None:
        """Close the socket from the hub, whatever it is doing."""
        if not self.closed:
            self.closed = True
            self._drop_outbox()
            assert self._hub is not None
            self._hub.spawn(self._close(code))

    async def _close(self, code: int) -> None:
        self.closed = True
        closing_frame = {"type": "websocket.close", "code": code, "reason": closing.REASONS[code]}
        try:
            async with asyncio.timeout(LAST_WORD):
                await self.base_send(closing_frame)
        except TimeoutError:
            # The client does not even read that.
            self._hang_up()
        except Exception:  # noqa: BLE001
            log.debug("gone before it was closed", client=self.id)

    def _hang_up(self) -> None:
        """Cut the connection. Only our own server can do that for us."""
        self.closed = True
        self._drop_outbox()
        abort = self.scope.get("extensions", {}).get("parley.abort")
        if abort is not None:
            abort()

    async def _turn_away(self, error: DomainError) -> None:
        log.info("refused", client=self.id, status=error.status, code=error.code)
        if "websocket.http.response" not in self.scope.get("extensions", {}):
            await self.base_send({"type": "websocket.accept"})
            await self._close(closing.UNAUTHORIZED)
            return
        body = dumps({"success": False, **error.as_dict(), "meta": {"timestamp": timestamp()}})
        headers = {"content-type": "application/json", **error.headers}
        await self.base_send(
            {
                "type": "websocket.http.response.start",
                "status": error.status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        await self.base_send({"type": "websocket.http.response.body", "body": body})

    async def _welcome(self, user: Mapping[str, Any]) -> None:
        """Say `connected`, and follow the visitor's own stream from its head.

        The stream is joined first, so that the head that is told is the one it is followed from.
        """
        own = user_stream(self.visitor.user_id)
        assert self._hub is not None
        await self._hub.join(self, own)
        self.welcomed = True
        self.push(
            render(
                "connected",
                {
                    "clientId": self.id,
                    "serverTime": timestamp(),
                    "user": user,
                    "streams": self._hub.heads_of(self),
                    "heartbeat": HEARTBEAT_SECONDS,
                },
            )
        )

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        """Answer one frame: with what its command returns, or with why it was refused."""
        if self.closed:
            return
        self._request_id = None
        try:
            kind, data = self._parse(message.get("text"))
            handler = registry.commands.get(kind)
            if handler is None:
                raise NotFound(f"There is no command {kind[:50]!r}")
            answered = await handler(self, data)
        except Exception as error:  # noqa: BLE001
            self.push(render("error", as_domain_error(error).as_dict(), self.echo()))
        else:
            if answered is not None:
                self.push(render("ack", answered, self.echo()))
        if self._strikes >= STRIKES:
            self.close_soon(closing.MALFORMED)

    def _parse(self, text: str | None) -> tuple[str, Mapping[str, Any]]:
        try:
            frame = orjson.loads(text or "")
        except orjson.JSONDecodeError as error:
            self._strikes += 1
            raise BadRequest("A frame must be JSON text") from error
        if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
            self._strikes += 1
            raise BadRequest("A frame must be an object with a type")
        request_id = frame.get("requestId")
        if isinstance(request_id, str):
            self._request_id = request_id[:64]
        data = {} if frame.get("data") is None else frame["data"]
        if not isinstance(data, dict):
            raise BadRequest("The data of a frame must be an object")
        return frame["type"], data

    def echo(self) -> dict[str, str]:
        """Return the requestId of the frame that is being answered, if it had one."""
        return {"requestId": self._request_id} if self._request_id is not None else {}

    async def follow(self, name: str, after: int | None, epoch: str) -> None:
        """Follow a stream if the visitor may; it is answered by the hub."""
        assert self._hub is not None
        if not await in_thread(registry.may_follow, self.visitor.user_id, name):
            raise NotFound("There is no such stream")
        await self._hub.follow(self, name, after, epoch)

    def unfollow(self, name: str) -> None:
        """Stop following a stream."""
        assert self._hub is not None
        self._hub.unfollow(self, name)

    def heads(self) -> dict[str, int]:
        """Return the last number of each stream that the socket follows."""
        assert self._hub is not None
        return self._hub.heads_of(self)

    def push(self, text: str) -> None:
        """Send a frame, or have it wait behind those that the client has not taken yet.

        Never raises: whatever the server makes of a socket that is going is that socket's affair.
        """
        if self.closed:
            return
        if self._draining is not None:
            self._outbox_size += len(text)
            if self._outbox_size > OUTBOX:
                self.close_soon(closing.SLOW_READER)
            else:
                self._outbox.append(text)
            return
        try:
            rest = eager.start(self.base_send({"type": "websocket.send", "text": text}))
        except Exception as error:  # noqa: BLE001
            log.debug("not sent", client=self.id, error=type(error).__name__)
            self._hang_up()
            return
        if rest is not None:
            assert self._hub is not None
            self._draining = self._hub.spawn(self._drain(rest))

    async def pushed(self, text: str) -> None:
        """Send a frame and wait until the client has taken what came before it."""
        self.push(text)
        if self._draining is not None:
            await asyncio.shield(self._draining)

    async def _drain(self, sending: Awaitable[None]) -> None:
        try:
            await sending
            while self._outbox:
                text = self._outbox.popleft()
                self._outbox_size -= len(text)
                await self.base_send({"type": "websocket.send", "text": text})
        except Exception as error:  # noqa: BLE001
            log.debug("not sent", client=self.id, error=type(error).__name__)
            self._hang_up()
        finally:
            self._draining = None

    def _drop_outbox(self) -> None:
        self._outbox.clear()
        self._outbox_size = 0
