"""Which channels a process asks Redis for, and what it publishes on them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest

from apps.realtime import listener as listener_module
from apps.realtime.broker import EVERYONE, OWN, channel_of
from apps.realtime.controls import DropTag, EndSession, Revoke, Subscribe, pack
from apps.realtime.frames import Frame
from apps.realtime.listener import Listener
from apps.realtime.tests.brokers import MemoryBroker
from apps.realtime.tests.test_silent_links import ignored, wait_until
from apps.realtime.wakeups import OUTSIDE, messages_of, opened

FEED, USER = channel_of("feed"), channel_of("user.1")


@asynccontextmanager
async def listening(
    broker: MemoryBroker, renewed: Callable[[], None] = lambda: None
) -> AsyncIterator[Listener]:
    """Have a listener run within the block, once its first link is open."""
    listener = Listener(broker, ignored, renewed)
    running = asyncio.create_task(listener.run())
    try:
        await wait_until(lambda: bool(broker.opened) and EVERYONE in broker.link.channels)
        yield listener
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_a_process_asks_once_for_a_channel_that_many_need() -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        async with listening(broker) as listener:
            await asyncio.gather(*(listener.listen([FEED]) for _ in range(50)))
            assert broker.link.channels == {OWN, EVERYONE, FEED}
            assert await listener.listen([FEED, USER]) == {USER}
            assert [channels for _, channels in broker.link.asked].count((FEED,)) == 1

    asyncio.run(scenario())


def test_a_channel_is_left_when_it_was_not_needed_twice() -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        async with listening(broker) as listener:
            await listener.listen([FEED, USER])
            listener.leave_idle({USER})
            await listener.listen([FEED])
            listener.leave_idle({FEED, USER})
            listener.leave_idle({USER})
            assert FEED in broker.link.channels
            listener.leave_idle({USER})
            await wait_until(lambda: FEED not in broker.link.channels)
            assert broker.link.channels == {OWN, EVERYONE, USER}
            await listener.listen([FEED])
            assert FEED in broker.link.channels

    asyncio.run(scenario())


def test_a_channel_that_comes_and_goes_costs_redis_nothing() -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        async with listening(broker) as listener:
            await listener.listen([FEED])
            asked = len(broker.link.asked)
            for _ in range(100):
                listener.leave_idle({USER})
                await listener.listen([FEED])
                listener.leave_idle({FEED})
            assert len(broker.link.asked) == asked

    asyncio.run(scenario())


def test_a_new_link_receives_all_channels_of_the_one_that_failed() -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        renewed = Mock()
        async with listening(broker, renewed) as listener:
            await listener.listen([FEED, USER])
            renewed.reset_mock()
            broker.link.put(ConnectionError())
            await wait_until(lambda: broker.opened[0].closed)
            again = asyncio.create_task(listener.run())
            await wait_until(lambda: len(broker.opened) == 2)
            await wait_until(lambda: broker.link.channels == {OWN, EVERYONE, FEED, USER})
            await wait_until(lambda: renewed.called)
            assert await listener.listen([EVERYONE, FEED, USER]) == set()
            renewed.assert_called_once()
            again.cancel()
            await asyncio.gather(again, return_exceptions=True)

    asyncio.run(scenario())


def test_only_the_first_socket_waits_for_a_redis_that_confirms_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "CONFIRM_SECONDS", 0.01)

    async def scenario() -> None:
        broker = MemoryBroker(confirms=False)
        async with listening(broker) as listener:
            await listener.listen([FEED])
            monkeypatch.setattr(listener_module, "CONFIRM_SECONDS", 3600.0)
            async with asyncio.timeout(5):
                await listener.listen([USER])
            broker.link.put(("subscribe", FEED, None))
            waiting = asyncio.create_task(listener.listen([USER]))
            await wait_until(lambda: listener._confirms)
            waiting = asyncio.create_task(listener.listen([USER]))
            await asyncio.sleep(0)
            assert not waiting.done()
            broker.link.put(("subscribe", USER, None))
            await waiting

    asyncio.run(scenario())


def test_a_channel_that_a_cluster_moved_renews_the_links() -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        async with listening(broker) as listener:
            await listener.listen([FEED])
            broker.link.put(("unsubscribe", FEED, None))
            await wait_until(lambda: broker.link.closed)

    asyncio.run(scenario())


def published(*wakeups: Any) -> list[tuple[str, list[Any], list[Any]]]:
    """Return the channel, the contents of the frames and the controls of each message."""
    found = [(channel, opened(content)) for channel, content in messages_of(list(wakeups), OUTSIDE)]
    return [
        (channel, [frame[2] for frame in one["frames"]], one["controls"]) for channel, one in found
    ]


def frames_of(*frames: tuple[str, str]) -> Any:
    packed = [Frame(stream, None, content).packed() for stream, content in frames]
    return {"frames": packed, "controls": []}


def controls_of(*controls: Any) -> Any:
    return {"frames": [], "controls": [pack(control) for control in controls]}


def test_frames_of_one_stream_go_together_and_in_order() -> None:
    wakeups = [frames_of(("feed", "1"), ("user.1", "2")), frames_of(("feed", "3"))]
    assert published(*wakeups) == [(FEED, ["1", "3"], []), (USER, ["2"], [])]


def test_controls_about_a_user_go_where_the_user_is_and_others_to_all() -> None:
    user = uuid4()
    added, removed = Subscribe(user, "feed"), Revoke(user, "feed")
    ended, changed = EndSession(uuid4()), DropTag("post:1")
    wakeups = [controls_of(added, ended), controls_of(removed, changed)]
    assert published(*wakeups) == [
        (channel_of(f"user.{user}"), [], [pack(added), pack(removed)]),
        (EVERYONE, [], [pack(ended), pack(changed)]),
    ]


def test_no_frame_overtakes_a_revocation() -> None:
    """A user who was removed from a group must not receive what was sent to it after that."""
    user = uuid4()
    revoked = Revoke(user, "feed")
    wakeups = [frames_of(("feed", "1")), controls_of(revoked), frames_of(("feed", "2"))]
    assert published(*wakeups) == [
        (FEED, ["1"], []),
        (channel_of(f"user.{user}"), [], [pack(revoked)]),
        (FEED, ["2"], []),
    ]
