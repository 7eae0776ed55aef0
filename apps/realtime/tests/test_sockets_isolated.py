"""A socket that cannot be sent to never costs another one anything."""

import asyncio
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest

from apps.realtime import feed as feed_module
from apps.realtime.consumer import SocketConsumer
from apps.realtime.feed import Feed
from apps.realtime.hub import Hub
from apps.realtime.sockets import Visitor


class Connected(SocketConsumer):
    """A socket of which what it was sent is noted, and which may fail in a way of its own."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(Mock())
        self.got: list[str] = []
        self.hung_up = Mock()
        self.visitor = Visitor(uuid4(), uuid4())
        self.welcomed = True
        self.scope = {"extensions": {"parley.abort": self.hung_up}}

        async def send(message: dict[str, Any]) -> None:
            if error is not None:
                raise error
            self.got.append(message["text"])

        self.base_send = send


class FollowedHub(Hub):
    """A hub with sockets that all follow one stream whose log is not asked."""

    def __init__(self, followers: list[Connected]) -> None:
        super().__init__(Mock())
        self._feeds["feed"] = feed = Feed("feed", self.spawn)
        for follower in followers:
            follower._hub = self
            self.add(follower)
            follower.streams.add("feed")
            feed._followers.add(follower)


@pytest.fixture
def followers(monkeypatch: pytest.MonkeyPatch) -> list[Connected]:
    async def begin(*_: Any) -> dict[str, tuple[int, str]]:
        return {"feed": (0, "epoch")}

    monkeypatch.setattr(feed_module, "in_thread", begin)
    # What uvicorn raises after a keepalive of its own has closed the connection.
    gone = RuntimeError("Unexpected ASGI message 'websocket.send', after 'websocket.close'.")
    return [Connected(), Connected(gone), Connected(OSError()), Connected()]


def test_a_socket_that_cannot_be_sent_to_costs_no_other_an_event(
    followers: list[Connected],
) -> None:
    async def scenario() -> None:
        hub = FollowedHub(followers)
        await asyncio.gather(*hub._tasks)
        frames = [["feed", 1, "first", "", 0], ["broken"], ["feed", 2, "second", "", 0]]
        hub.take({"frames": frames, "ended": ["no id", str(followers[3].visitor.session_id)]})
        await asyncio.gather(*hub._tasks)

    asyncio.run(scenario())
    assert followers[0].got == ["first", "second"]
    for broken in followers[1:3]:
        assert broken.closed
        broken.hung_up.assert_called()
    assert followers[3].closed


def test_a_socket_that_cannot_be_sent_to_costs_no_other_its_heartbeat(
    followers: list[Connected],
) -> None:
    async def scenario() -> None:
        hub = FollowedHub(followers)
        for _ in range(5):
            await hub._heartbeat()

    asyncio.run(scenario())
    assert [len(follower.got) for follower in followers] == [1, 0, 0, 1]


def test_a_session_that_ended_while_its_socket_was_let_in_closes_it() -> None:
    late = Connected()

    async def scenario() -> None:
        hub = FollowedHub([])
        hub.close_session(late.visitor.session_id)
        late._hub = hub
        hub.add(late)

    asyncio.run(scenario())
    assert late.closed
