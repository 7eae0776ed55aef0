"""A socket that cannot be sent to never costs another one anything."""

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
from apps.realtime.wakeups import channel_layer
from apps.realtime.wire import Wire


class Connected(OpenSocket):
    """A socket of which what it was sent is noted, and which may fail in a way of its own."""

    def __init__(self, hub: Hub, error: Exception | None = None) -> None:
        self.got: list[str | bytes] = []
        self.hung_up = Mock()

        async def send(message: dict[str, Any]) -> None:
            if error is not None:
                raise error
            content = message["text"] if "text" in message else message["bytes"]
            assert isinstance(content, str) == ("text" in message)
            self.got.append(content)

        wire = Wire({"extensions": {"parley.abort": self.hung_up}}, send, "socket")
        super().__init__(wire, hub, PresenceEntry(uuid4(), uuid4(), "socket"))
        self.welcomed = True


# What uvicorn raises after a keepalive of its own has closed the connection.
GONE = RuntimeError("Unexpected ASGI message 'websocket.send', after 'websocket.close'.")


class FollowedHub(Hub):
    """A hub with sockets that all follow one stream whose log is not asked."""

    def __init__(self) -> None:
        super().__init__(Mock())
        feed = self.subscriptions._subscribers_of("feed")
        self.followers = [
            Connected(self, error) for error in (None, GONE, OSError("no route"), None)
        ]
        for follower in self.followers:
            follower.streams.add("feed")
            feed._subscribers.add(follower)


@pytest.fixture(autouse=True)
def _empty_log(monkeypatch: pytest.MonkeyPatch) -> None:
    async def begin(*_: Any) -> dict[str, tuple[int, str]]:
        return {"feed": (0, "epoch")}

    monkeypatch.setattr(subscriptions_module, "in_thread", begin)


def test_a_socket_that_cannot_be_sent_to_costs_no_other_an_event() -> None:
    async def scenario() -> list[Connected]:
        hub = FollowedHub()
        await asyncio.gather(*hub._tasks)
        frames = [["feed", 1, "first", "", 0], ["broken"], ["feed", 2, "second", "", 0]]
        end = pack(EndSession(hub.followers[3].identity.session_id))
        hub.take({"frames": frames, "controls": [["nonsense"], ["end", "no id"], end]})
        await asyncio.gather(*hub._tasks)
        return hub.followers

    followers = asyncio.run(scenario())
    assert followers[0].got == ["first", "second"]
    for broken in followers[1:3]:
        assert broken.closed
        broken.hung_up.assert_called()
    assert followers[3].closed


def test_a_frame_of_bytes_reaches_the_sockets_of_another_process_as_it_is() -> None:
    content = bytes(range(256))

    async def scenario() -> Connected:
        hub, layer = FollowedHub(), channel_layer()
        channel = await layer.new_channel()
        await layer.group_add("bytes", channel)
        await layer.group_send(
            "bytes",
            {"type": "hub.wake", "frames": [Frame("feed", None, content).packed()], "controls": []},
        )
        hub.take(await layer.receive(channel))
        await layer.flush()
        return hub.followers[0]

    assert asyncio.run(scenario()).got == [content]


def test_a_socket_that_cannot_be_sent_to_costs_no_other_its_heartbeat() -> None:
    async def scenario() -> list[Connected]:
        hub = FollowedHub()
        for _ in range(5):
            await hub._heartbeat()
        return hub.followers

    followers = asyncio.run(scenario())
    assert [len(follower.got) for follower in followers] == [1, 0, 0, 1]


def test_a_session_that_ended_while_its_socket_was_let_in_closes_it() -> None:
    session = uuid4()

    async def scenario() -> OpenSocket:
        hub = FollowedHub()
        hub.close_session(session)
        return OpenSocket(Wire({}, Mock(), "late"), hub, PresenceEntry(uuid4(), session, "late"))

    assert asyncio.run(scenario()).closed
