"""Messages that wait while a group is being committed."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.chat import grouping, services
from apps.chat.errors import TooManyWaiting
from apps.chat.services import Draft
from apps.chat.tests.factories import draft, told
from apps.chat.tests.test_message_grouping import numbered, require_sent
from apps.core.errors import ServiceUnavailable

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("closing_threads")]


class Stalling:
    """A database that answers nobody until it is released."""

    def __init__(self) -> None:
        self.reached, self.released = threading.Event(), threading.Event()
        self._send = services.messages_send

    def __call__(self, drafts: Sequence[Draft]) -> Any:
        self.reached.set()
        assert self.released.wait(timeout=20)
        return self._send(drafts)


@pytest.fixture
def stalling(monkeypatch: pytest.MonkeyPatch) -> Stalling:
    database = Stalling()
    monkeypatch.setattr(grouping, "messages_send", database)
    return database


def test_behind_a_slow_database_no_more_than_so_many_messages_wait(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch, stalling: Stalling
) -> None:
    monkeypatch.setattr(grouping, "MOST_WAITING", 3)
    drafts = numbered([(alice, bob)], 5)

    async def send() -> list[Any]:
        first = asyncio.create_task(grouping.message_send_grouped(drafts[0]))
        await asyncio.to_thread(stalling.reached.wait, 20)
        others = [asyncio.create_task(grouping.message_send_grouped(one)) for one in drafts[1:]]
        await asyncio.wait([others[-1]])
        stalling.released.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    *sent, refused = asyncio.run(send())
    assert isinstance(refused, TooManyWaiting)
    assert isinstance(refused, ServiceUnavailable)
    require_sent(drafts[:4], sent, [bob])


def test_who_is_cut_off_while_they_wait_sends_nothing_and_holds_nobody_up(
    alice: Person, bob: Person, carol: Person, stalling: Stalling
) -> None:
    drafts = [draft(alice, bob, "One"), draft(carol, bob, "Two"), draft(bob, alice, "Three")]

    async def send() -> list[Any]:
        first = asyncio.create_task(grouping.message_send_grouped(drafts[0]))
        await asyncio.to_thread(stalling.reached.wait, 20)
        others = [asyncio.create_task(grouping.message_send_grouped(one)) for one in drafts[1:]]
        # They run as far as to where they wait before this coroutine goes on.
        await asyncio.sleep(0)
        assert len(grouping._waiting) == len(others)
        others[0].cancel()
        stalling.released.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, cut_off, last = asyncio.run(send())
    assert isinstance(cut_off, asyncio.CancelledError)
    require_sent([drafts[0], drafts[2]], [first, last], [alice, bob])
    assert told(carol) == []
