"""Answers and bodies whose client has disconnected, or for which no thread is free."""

import asyncio
from collections.abc import Iterable
from typing import Any

from apps.core.tests.asgi import SCOPE, Echo, bridge_to, served
from apps.core.tests.hanging import HangingWork, hold_threads, pool_of, wait_until

LONG_ANSWER = [b"x" * 300_000] * 3


def test_an_answer_is_not_read_further_after_its_client_has_disconnected() -> None:
    echo = Echo(*LONG_ANSWER * 10)
    messages = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    sent: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("body", b""))

    async def scenario() -> None:
        pool = pool_of(1)
        await bridge_to(echo, pool)(SCOPE, receive, send)
        await pool.run(lambda: None)

    asyncio.run(scenario())
    assert echo.closed == 1
    assert len(sent) <= 4


def test_an_answer_is_cut_off_when_no_thread_is_free_for_the_rest_of_it() -> None:
    """The server closes the connection, so that the client does not take a part for the whole."""
    echo, work = Echo(*LONG_ANSWER), HangingWork()

    async def scenario() -> None:
        pool, sent = pool_of(1, queue=0), list[dict[str, Any]]()
        held: list[Any] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            if message["type"] == "http.response.start":
                held.extend(await hold_threads(pool, work))

        async def receive() -> dict[str, Any]:
            if sent:
                await asyncio.Event().wait()
            return {"type": "http.request"}

        await bridge_to(echo, pool)(SCOPE, receive, send)
        assert [message.get("more_body") for message in sent] == [None, True]
        assert echo.closed == 0
        work.go.set()
        await asyncio.gather(*held)
        await wait_until(lambda: echo.closed == 1)

    asyncio.run(scenario())


class Slow(Echo):
    """An application that hangs, and then returns a long answer."""

    def __init__(self, work: HangingWork) -> None:
        super().__init__(*LONG_ANSWER)
        self.work = work

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        self.work()
        return super().__call__(environ, start)


def test_a_cancelled_request_finishes_its_work_and_is_closed() -> None:
    work = HangingWork()
    slow = Slow(work)

    async def scenario() -> None:
        pool = pool_of(2)
        task = asyncio.create_task(served(slow, b"body", pool=pool))
        await wait_until(lambda: work.begun == 1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        work.go.set()
        await wait_until(lambda: slow.closed == 1)
        # The view could read its body, which was not closed before.
        assert slow.body == b"body"
        assert slow.environ["wsgi.input"].closed

    asyncio.run(scenario())


def test_a_request_that_is_cancelled_while_it_waits_never_starts() -> None:
    echo, work = Echo(), HangingWork()

    async def scenario() -> None:
        pool = pool_of(1)
        held = await hold_threads(pool, work)
        task = asyncio.create_task(served(echo, pool=pool))
        await wait_until(lambda: len(pool._turns) == 1)
        task.cancel()
        await asyncio.wait([task])
        work.go.set()
        await asyncio.gather(*held, pool.run(lambda: None))
        assert echo.environ == {}

    asyncio.run(scenario())


def test_the_body_of_each_request_is_closed() -> None:
    """A large body is a file on disk."""
    echo = Echo()
    asyncio.run(served(echo, b"x" * 300_000))
    assert len(echo.body) == 300_000
    assert echo.environ["wsgi.input"].closed
