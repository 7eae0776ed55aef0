"""A socket that cannot be sent to does not affect the others."""

import asyncio
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest

from apps.realtime import subscriptions as subscriptions_module
from apps.realtime.controls import EndSession, pack
from apps.realtime.frames import Frame
from apps.realtime.hub import Hub
from apps.realtime.open_socket import OpenSocket
from apps.realtime.sockets import PresenceEntry
from apps.realtime.tests.tasks import settle
from apps.realtime.wakeups import OUTSIDE, messages_of, opened
from apps.realtime.wire import Wire


class RecordingSocket(OpenSocket):
    """A socket that notes the frames it is sent, or fails with an error."""

    def __init__(self, hub: Hub, error: Exception | None = None) -> None:
        self.received: list[str | bytes] = []
        self.aborted = Mock()

        async def send(message: dict[str, Any]) -> None:
            if error is not None:
                raise error
            content = message["text"] if "text" in message else message["bytes"]
            assert isinstance(content, str) == ("text" in message)
            self.received.append(content)

        wire = Wire({"headers": [], "extensions": {"parley.abort": self.aborted}}, send, "socket")
        super().__init__(wire, hub, PresenceEntry(uuid4(), uuid4(), "socket"))
        self.connected = True


# What uvicorn raises after a keepalive of its own has closed the connection.
GONE = RuntimeError("Unexpected ASGI message 'websocket.send', after 'websocket.close'.")


class HubWithSockets(Hub):
    """A hub with sockets that are all subscribed to one stream, whose log is empty."""

    def __init__(self) -> None:
        super().__init__(Mock())
        feed = self.subscriptions._subscribers_of("feed")
        self.sockets = [
            RecordingSocket(self, error) for error in (None, GONE, OSError("no route"), None)
        ]
        for socket in self.sockets:
            socket.streams.add("feed")
            feed._subscribers.add(socket)


@pytest.fixture(autouse=True)
def _empty_log(monkeypatch: pytest.MonkeyPatch) -> None:
    async def begin(*_: Any) -> dict[str, tuple[int, str]]:
        return {"feed": (0, "epoch")}

    monkeypatch.setattr(subscriptions_module, "in_thread", begin)


def test_a_socket_that_cannot_be_sent_to_costs_no_other_an_event() -> None:
    async def scenario() -> list[RecordingSocket]:
        hub = HubWithSockets()
        await settle()
        frames = [["feed", 1, "first", "", 0], ["broken"], ["feed", 2, "second", "", 0]]
        end = pack(EndSession(hub.sockets[3].identity.session_id))
        hub.deliver({"frames": frames, "controls": [["nonsense"], ["end", "no id"], end]})
        await settle()
        return hub.sockets

    sockets = asyncio.run(scenario())
    assert sockets[0].received == ["first", "second"]
    for broken in sockets[1:3]:
        assert broken.closed
        broken.aborted.assert_called()
    assert sockets[3].closed


def test_a_frame_of_bytes_reaches_the_sockets_of_another_process_as_it_is() -> None:
    content = bytes(range(256))

    async def scenario() -> RecordingSocket:
        hub = HubWithSockets()
        frames = [Frame("feed", None, content).packed()]
        [(_, message)] = messages_of([{"frames": frames, "controls": []}], OUTSIDE)
        hub.deliver(opened(message))
        return hub.sockets[0]

    assert asyncio.run(scenario()).received == [content]


def test_a_socket_that_cannot_be_sent_to_costs_no_other_its_heartbeat() -> None:
    async def scenario() -> list[RecordingSocket]:
        hub = HubWithSockets()
        for _ in range(5):
            await hub._send_heartbeats()
        return hub.sockets

    sockets = asyncio.run(scenario())
    assert [len(socket.received) for socket in sockets] == [1, 0, 0, 1]


def test_a_session_that_ended_during_the_handshake_closes_its_socket() -> None:
    session = uuid4()

    async def scenario() -> OpenSocket:
        hub = HubWithSockets()
        hub.close_session(session)
        return OpenSocket(
            Wire({"headers": []}, Mock(), "late"), hub, PresenceEntry(uuid4(), session, "late")
        )

    assert asyncio.run(scenario()).closed
