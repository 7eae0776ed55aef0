"""The typing signal: the other user of a conversation sees it while the sender types."""

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
    """The part of a socket that the command uses, and the signals that it sends."""

    person: Person
    closed: bool = False
    signals: list[Signal] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        self.identity = Identity(self.person.user.pk, uuid7())

    async def type(self, receiver: Person, is_typing: bool = True) -> Any:
        """Run the command."""
        socket: Any = self
        return await commands.typing(
            socket, {"receiver_id": receiver.user.pk, "is_typing": is_typing}
        )

    def record(self, *signal: Any) -> None:
        """Record a signal instead of sending it."""
        self.signals.append(signal)
        if not signal[-1]:
            self.ended.set()

    def sent_to(self, receiver: Person) -> list[bool]:
        """Return `is_typing` of each signal to a receiver."""
        pair = (self.person.user.pk, receiver.user.pk)
        return [shown for *people, shown in self.signals if tuple(people) == pair]


@pytest.fixture
def typist(alice: Person, monkeypatch: pytest.MonkeyPatch) -> Typist:
    """A socket of Alice, who has a conversation with everybody, with short timers."""
    typist = Typist(alice)

    async def in_this_thread(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    monkeypatch.setattr("apps.chat.selectors.are_peers", lambda *_: True)
    monkeypatch.setattr(commands, "require_no_block", lambda *_: None)
    monkeypatch.setattr("apps.chat.events.typing", typist.record)
    monkeypatch.setattr(commands, "in_thread", in_this_thread)
    monkeypatch.setattr(commands, "CHECK_SECONDS", 0.001)
    monkeypatch.setattr(commands, "TYPING_SECONDS", 0.003)
    return typist


def test_typing_ends_by_itself(bob: Person, typist: Typist) -> None:
    async def type_and_forget() -> None:
        assert await typist.type(bob) == {"isTyping": True}
        await asyncio.wait_for(typist.ended.wait(), 10)
        assert commands._typing == {}

    asyncio.run(type_and_forget())
    assert typist.sent_to(bob) == [True, False]


def test_typing_that_was_ended_is_not_ended_again(bob: Person, typist: Typist) -> None:
    async def type_and_stop() -> None:
        await typist.type(bob)
        await typist.type(bob)
        assert await typist.type(bob, is_typing=False) == {"isTyping": False}
        assert commands._typing == {}

    asyncio.run(type_and_stop())
    assert typist.sent_to(bob) == [True, True, False]


def test_typing_ends_with_the_socket(
    bob: Person, typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "TYPING_SECONDS", 3_600)

    async def type_and_go() -> None:
        await typist.type(bob)
        typist.closed = True
        await asyncio.wait_for(typist.ended.wait(), 10)
        assert commands._typing == {}

    asyncio.run(type_and_go())
    assert typist.sent_to(bob) == [True, False]


def test_typing_beyond_the_limit_is_refused_and_not_sent(
    bob: Person, carol: Person, typist: Typist, settings: Settings
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(typing=3)

    async def type_too_often() -> None:
        for _ in range(3):
            await typist.type(bob)
        for receiver in (bob, carol):
            with pytest.raises(RateLimited):
                await typist.type(receiver)
        await asyncio.wait_for(typist.ended.wait(), 10)
        assert commands._typing == {}

    asyncio.run(type_too_often())
    assert (typist.sent_to(bob), typist.sent_to(carol)) == ([True, True, True, False], [])


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_receiver_sees_the_typing_until_the_socket_closes(
    server: ServerProcess, alice: Person, bob: Person, carol: Person
) -> None:
    new_message(alice, bob)
    with TestSocket(server.url, token=bob.access) as bob_socket:
        bob_socket.expect("connected")
        with TestSocket(server.url, token=alice.access) as alice_socket:
            assert (
                alice_socket.ask("typing", {"receiverId": bob.id, "isTyping": True})["type"]
                == "ack"
            )
            shown = bob_socket.expect("typing")
            assert shown["data"] == {"senderId": alice.id, "isTyping": True}
            assert "seq" not in shown
            refused = alice_socket.ask("typing", {"receiverId": carol.id, "isTyping": True})
            assert refused["data"]["code"] == "FORBIDDEN"
        assert bob_socket.expect("typing", seconds=5)["data"] == {
            "senderId": alice.id,
            "isTyping": False,
        }
