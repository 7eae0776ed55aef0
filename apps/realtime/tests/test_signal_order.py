"""Signals about one thing that two processes send at once may arrive in the wrong order."""

import asyncio
from typing import cast

from apps.realtime.frames import Frame
from apps.realtime.pages import Pages
from apps.realtime.sockets import Subscriber
from apps.realtime.stream_subscribers import StreamSubscribers

STREAM = "user.1"


class RecordingSubscriber:
    """A subscriber that notes the frames it receives."""

    def __init__(self) -> None:
        self.received: list[str] = []

    def deliver(self, frame: Frame) -> None:
        self.received.append(str(frame.content))


def test_an_older_signal_does_not_follow_a_newer_one_about_the_same_thing() -> None:
    async def scenario() -> list[str]:
        subscriber = RecordingSubscriber()
        stream = StreamSubscribers(STREAM, Pages())
        stream._subscribers.add(cast("Subscriber", subscriber))
        stream.deliver(Frame(STREAM, None, "online", "presence bob", 20))
        stream.deliver(Frame(STREAM, None, "offline", "presence bob", 10))
        stream.deliver(Frame(STREAM, None, "carol's", "presence carol", 10))
        stream.deliver(Frame(STREAM, None, "typing"))
        stream.deliver(Frame(STREAM, None, "offline at last", "presence bob", 30))
        return subscriber.received

    assert asyncio.run(scenario()) == ["online", "carol's", "typing", "offline at last"]
