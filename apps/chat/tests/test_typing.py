"""That somebody types: told to the other of a conversation, for as long as they do."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from pytest_django import Settings

from apps.accounts.tests.people import Person
from apps.chat import commands
from apps.chat.tests.factories import new_message
from apps.core.errors import RateLimited
from apps.core.ids import uuid7
from apps.realtime.sockets import Identity
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = pytest.mark.django_db

Signal = tuple[UUID, UUID, bool]


@dataclass
class Typist:
    """As much of a person's socket as the command looks at, and what it tells others."""

    person: Person
    closed: bool = False
    signals: list[Signal] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        self.identity = Identity(self.person.user.pk, uuid7())

    async def type(self, receiver: Person, is_typing: bool = True) -> Any:
        """Say that one types to somebody."""
        socket: Any = self
        return await commands.typing(
            socket, {"receiver_id": receiver.user.pk, "is_typing": is_typing}
        )

    def tell(self, *signal: Any) -> None:
        """Note a signal in place of sending it."""
        self.signals.append(signal)
        if not signal[-1]:
            self.ended.set()

    def told(self, receiver: Person) -> list[bool]:
        """Return what somebody was told of this one's typing."""
        pair = (self.person.user.pk, receiver.user.pk)
        return [shown for *people, shown in self.signals if tuple(people) == pair]


@pytest.fixture
def hers(alice: Person, monkeypatch: pytest.MonkeyPatch) -> Typist:
    """A socket of Alice, who talks with everybody, where a second takes a moment."""
    typist = Typist(alice)

    async def in_this_thread(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    monkeypatch.setattr("apps.chat.selectors.are_peers", lambda *_: True)
    monkeypatch.setattr("apps.chat.events.typing", typist.tell)
    monkeypatch.setattr(commands, "in_thread", in_this_thread)
    monkeypatch.setattr(commands, "CHECK_SECONDS", 0.001)
    monkeypatch.setattr(commands, "TYPING_SECONDS", 0.003)
    return typist


def test_typing_ends_by_itself(bob: Person, hers: Typist) -> None:
    async def type_and_forget() -> None:
        assert await hers.type(bob) == {"isTyping": True}
        await asyncio.wait_for(hers.ended.wait(), 10)
        assert commands._typing == {}

    asyncio.run(type_and_forget())
    assert hers.told(bob) == [True, False]


def test_typing_that_was_ended_is_not_ended_again(bob: Person, hers: Typist) -> None:
    async def type_and_stop() -> None:
        await hers.type(bob)
        await hers.type(bob)
        assert await hers.type(bob, is_typing=False) == {"isTyping": False}
        assert commands._typing == {}

    asyncio.run(type_and_stop())
    assert hers.told(bob) == [True, True, False]


def test_typing_ends_with_the_socket(
    bob: Person, hers: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "TYPING_SECONDS", 3_600)

    async def type_and_go() -> None:
        await hers.type(bob)
        hers.closed = True
        await asyncio.wait_for(hers.ended.wait(), 10)
        assert commands._typing == {}

    asyncio.run(type_and_go())
    assert hers.told(bob) == [True, False]


def test_typing_beyond_the_limit_is_refused_and_not_sent(
    bob: Person, carol: Person, hers: Typist, settings: Settings
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(typing=3)

    async def type_too_often() -> None:
        for _ in range(3):
            await hers.type(bob)
        for receiver in (bob, carol):
            with pytest.raises(RateLimited):
                await hers.type(receiver)
        await asyncio.wait_for(hers.ended.wait(), 10)
        assert commands._typing == {}

    asyncio.run(type_too_often())
    assert (hers.told(bob), hers.told(carol)) == ([True, True, True, False], [])


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_receiver_sees_the_typing_until_the_socket_closes(
    server: ServerProcess, alice: Person, bob: Person, carol: Person
) -> None:
    new_message(alice, bob)
    with TestSocket(server.url, token=bob.access) as his:
        his.expect("connected")
        with TestSocket(server.url, token=alice.access) as hers:
            assert hers.ask("typing", {"receiverId": bob.id, "isTyping": True})["type"] == "ack"
            shown = his.expect("typing")
            assert shown["data"] == {"senderId": alice.id, "isTyping": True}
            assert "seq" not in shown
            refused = hers.ask("typing", {"receiverId": carol.id, "isTyping": True})
            assert refused["data"]["code"] == "FORBIDDEN"
        assert his.expect("typing", seconds=5)["data"] == {"senderId": alice.id, "isTyping": False}
