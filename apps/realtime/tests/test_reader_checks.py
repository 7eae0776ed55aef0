"""Polls that end together ask the database together."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from apps.core.errors import Unauthorized
from apps.core.tests.hanging import wait_until
from apps.realtime import reader_checks
from apps.realtime.event_pages import EventPage
from apps.realtime.reader_checks import ReaderChecks
from apps.realtime.sockets import Identity


class SlowDatabase:
    """Answers questions about polls when the test continues, and notes for how many each was."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.answers: list[Any] = []
        self.go = asyncio.Event()

    async def answer(self, _: object, polls: list[Any]) -> Any:
        self.asked.append(len(polls))
        await self.go.wait()
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, OSError):
            raise answer
        return [answer] * len(polls)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> SlowDatabase:
    slow = SlowDatabase()
    monkeypatch.setattr(reader_checks, "in_poll_thread", slow.answer)
    return slow


def asking(checks: ReaderChecks, count: int) -> "list[asyncio.Task[None]]":
    reader = Identity(uuid4(), uuid4())
    page = EventPage(of_several=False)
    return [asyncio.create_task(checks.require(reader, page)) for _ in range(count)]


def test_polls_that_end_while_a_question_is_asked_share_the_next_one(
    database: SlowDatabase,
) -> None:
    async def scenario() -> None:
        checks = ReaderChecks()
        polls = asking(checks, 1)
        await wait_until(lambda: database.asked == [1])
        polls += asking(checks, 700)
        await asyncio.sleep(0)
        database.go.set()
        await asyncio.gather(*polls)

    asyncio.run(scenario())
    assert database.asked == [1, 500, 200]


def test_a_question_that_fails_fails_for_those_who_asked_it_only(database: SlowDatabase) -> None:
    database.answers = [OSError("no database"), Unauthorized()]

    async def scenario() -> list[Any]:
        checks = ReaderChecks()
        polls = asking(checks, 2)
        await wait_until(lambda: bool(database.asked))
        polls += asking(checks, 1)
        polls[0].cancel()
        database.go.set()
        first = await asyncio.gather(*polls, return_exceptions=True)
        await asyncio.gather(*asking(checks, 1))
        return first

    cancelled, failed, refused = asyncio.run(scenario())
    assert [type(one) for one in (cancelled, failed, refused)] == [
        asyncio.CancelledError,
        OSError,
        Unauthorized,
    ]
