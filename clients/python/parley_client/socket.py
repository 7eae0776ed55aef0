"""One open websocket: it resumes the streams, sends what waits, and ends when it breaks."""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from parley_client import closing
from parley_client.errors import ConnectionLost, Refused, refusal
from parley_client.frames import Command, Frame, Received, parse, render
from parley_client.inbox import Inbox
from parley_client.log import note
from parley_client.pace import Pace
from parley_client.pending import Message, Pending
from parley_client.tasks import until_first_ends
from parley_client.timing import Timing

Answer = asyncio.Future[Mapping[str, Any]]


class Socket:
    """The client's end of a websocket, from its first frame to its close."""

    def __init__(
        self,
        connection: ClientConnection,
        inbox: Inbox,
        pending: Pending,
        work: asyncio.Event,
        timing: Timing,
    ) -> None:
        self._connection = connection
        self._inbox = inbox
        self._pending = pending
        self._work = work
        self._timing = timing
        self._pace = Pace()
        self._numbers = itertools.count(1)
        # What each requestId asked for: a stream, a message by its client id, or a command.
        self._subscribing: dict[str, str] = {}
        self._sending: dict[str, str] = {}
        self._asking: dict[str, Answer] = {}
        self._questions: deque[str] = deque()
        # Each gets its turn, so that many messages do not delay the streams, and vice versa.
        self._sources = deque([self._question, self._subscription, self._message])

    async def begin(self) -> None:
        """Receive the first frame, which names the heads; raise ConnectionLost."""
        frame = await self._receive()
        if frame.type != Received.CONNECTED:
            raise ConnectionLost(f"The first frame is {frame.type}.", blocked=True)
        self._take(frame)
        note("websocket opened", socket_id=frame.data["clientId"], streams=frame.data["streams"])

    async def run(self) -> None:
        """Serve the application until the connection breaks, and raise ConnectionLost."""
        try:
            await until_first_ends(self._read(), self._write())
        finally:
            self._pending.connection_lost()
            self._inbox.streams.disconnected()
            for answer in self._asking.values():
                if not answer.done():
                    answer.set_exception(ConnectionLost("The answer did not arrive."))

    async def ask(self, command: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a command and return the data of its answer; raise Refused, ConnectionLost if its
        outcome is not known, or ValueError if no frame can hold it."""
        request_id = self._request_id("ask")
        text = render(command, data, request_id)
        answer: Answer = asyncio.get_running_loop().create_future()
        self._asking[request_id] = answer
        self._questions.append(text)
        self._work.set()
        try:
            return await answer
        finally:
            del self._asking[request_id]

    async def _write(self) -> None:
        try:
            while True:
                self._work.clear()
                while self._has_work():
                    await self._pace.turn()
                    if (text := self._next()) is not None:
                        await self._connection.send(text)
                await self._work.wait()
        except ConnectionClosed as closed:
            raise lost(closed) from closed

    def _has_work(self) -> bool:
        return bool(self._questions) or self._inbox.streams.has_due or self._pending.has_waiting

    def _next(self) -> str | None:
        for _ in range(len(self._sources)):
            text = self._sources[0]()
            self._sources.rotate(-1)
            if text is not None:
                return text
        return None

    def _question(self) -> str | None:
        return self._questions.popleft() if self._questions else None

    def _subscription(self) -> str | None:
        name = self._inbox.streams.next_due()
        if name is None:
            return None
        point = self._inbox.streams.resume_point(name)
        request_id = self._request_id("subscribe")
        self._subscribing[request_id] = name
        note("subscribe", stream=name, **point)
        return render(Command.SUBSCRIBE, {"stream": name, **point}, request_id)

    def _message(self) -> str | None:
        draft = self._pending.next()
        if draft is None:
            return None
        request_id = self._request_id("message")
        self._sending[request_id] = draft.client_id
        return render(Command.CHAT_MESSAGE, draft.entry, request_id)

    def _request_id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"

    async def _read(self) -> None:
        while True:
            self._take(await self._receive())

    async def _receive(self) -> Frame:
        """Return the next frame. Ask for a sign of life when nothing arrives, and raise
        ConnectionLost when still nothing does: a link can die without a word."""
        asked = False
        while True:
            try:
                async with asyncio.timeout(self._timing.silence / 2):
                    return parse(await self._connection.recv())
            except TimeoutError:
                if asked:
                    note("websocket silent", level=logging.WARNING)
                    raise ConnectionLost("Nothing arrives any more.") from None
                asked = True
                self._questions.append(render(Command.PING, {}, self._request_id("ping")))
                self._work.set()
            except ConnectionClosed as closed:
                raise lost(closed) from closed
            except ValueError as error:
                raise ConnectionLost(f"A frame is malformed: {error}") from error

    def _take(self, frame: Frame) -> None:
        try:
            self._handle(frame)
        except (KeyError, TypeError, ValueError) as error:
            raise ConnectionLost(f"A frame {frame.type} is malformed: {error!r}") from error
        # It may have given the client something to send.
        self._work.set()

    def _handle(self, frame: Frame) -> None:
        if frame.type in {Received.HEARTBEAT, Received.PONG}:
            self._inbox.compare(frame.data["streams"])
        if frame.seq is not None:
            self._inbox.take(frame.stream, frame.seq, frame.type, frame.data)
        elif frame.request_id in self._subscribing:
            self._handle_subscription(self._subscribing.pop(frame.request_id), frame)
        elif frame.request_id in self._sending:
            self._handle_message(self._sending.pop(frame.request_id), frame)
        elif frame.request_id in self._asking:
            self._handle_answer(self._asking[frame.request_id], frame)
        else:
            self._handle_news(frame)

    def _handle_subscription(self, name: str, frame: Frame) -> None:
        match frame.type:
            case Received.SUBSCRIBED:
                self._inbox.subscribed(frame.data, asked=True)
            case Received.RESET:
                self._inbox.reset(frame.data, asked=True)
            case Received.ERROR:
                self._handle_refused_subscription(name, refusal(frame.data))

    def _handle_refused_subscription(self, name: str, refused: Refused) -> None:
        note("subscribe refused", level=logging.WARNING, stream=name, code=refused.code)
        if refused.transient:
            self._later(lambda: self._inbox.streams.again(name))
        else:
            self._inbox.unsubscribed(name, {"code": refused.code, "message": refused.message})

    def _handle_message(self, client_id: str, frame: Frame) -> None:
        if frame.type == Received.ACK:
            self._pending.acknowledged(client_id, Message.read(frame.data["message"]))
        elif not self._pending.refused(client_id, refusal(frame.data)):
            self._later(lambda: self._pending.again(client_id))

    def _handle_answer(self, answer: Answer, frame: Frame) -> None:
        if answer.done():
            return
        if frame.type == Received.ERROR:
            answer.set_exception(refusal(frame.data))
        else:
            answer.set_result(frame.data)

    def _handle_news(self, frame: Frame) -> None:
        match frame.type:
            case Received.CONNECTED:
                self._inbox.connected(frame.data["streams"])
            case Received.SUBSCRIBED:
                self._inbox.subscribed(frame.data, asked=False)
            case Received.RESET:
                self._inbox.reset(frame.data, asked=False)
            case Received.UNSUBSCRIBED:
                self._inbox.unsubscribed(frame.data["stream"], frame.data)
            case Received.ERROR:
                note("error", level=logging.WARNING, code=frame.data.get("code"))
            case Received.ACK | Received.HEARTBEAT | Received.PONG:
                pass
            case _:
                self._inbox.take_signal(frame.type, frame.data)

    def _later(self, action: Any) -> None:
        """Act after a moment, unless the socket is closed by then: the next one does it anyway."""

        def act() -> None:
            action()
            self._work.set()

        asyncio.get_running_loop().call_later(self._timing.backoff.delay(1), act)


def lost(closed: ConnectionClosed) -> ConnectionLost:
    """Return what a close means, with the code that the server sent."""
    code = closed.rcvd.code if closed.rcvd else closing.ABNORMAL
    reason = closed.rcvd.reason if closed.rcvd else "The connection broke."
    return ConnectionLost(reason or f"closed with {code}", code=code)
