"""Sockets that catch up do not slow down the others (docs/decisions/0024-catching-up.md)."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.core.errors import Busy
from apps.core.tests.hanging import LONG, wait_until
from apps.realtime import event_log, together
from apps.realtime import pages as pages_module
from apps.realtime.event_log import Backlog, events_after, pages_after
from apps.realtime.models import LoggedEvent
from apps.realtime.pages import PAGES_TOGETHER, Pages
from apps.realtime.tests.factories import log_messages, log_posts
from apps.realtime.tests.test_resuming import seqs
from testing.server import ServerProcess
from testing.socket import TestSocket

STREAM = "feed"


def log_each(*texts: str) -> None:
    for text in texts:
        log_posts(1, tag=text)


def page_after(after: int, up_to: int | None = None) -> list[int | None]:
    backlog = events_after(STREAM, after, up_to)
    assert backlog.complete
    return [frame.seq for frame in backlog.frames]


@pytest.mark.django_db
def test_a_page_of_the_log_ends_with_the_event_that_reaches_the_limit_of_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_log, "PAGE_BYTES", 10_000)
    log_each(*["x" * 4_000] * 5, "x" * 40_000, "short", "x" * 40_000, "short")
    assert page_after(0) == [1, 2, 3]
    assert page_after(0, up_to=2) == [1, 2]
    assert page_after(3) == [4, 5, 6]
    assert page_after(6) == [7, 8]
    assert page_after(8) == [9]


@pytest.mark.django_db
def test_a_page_counts_the_bytes_of_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "PAGE_BYTES", 10_000)
    log_each(*["\N{GRINNING FACE}" * 1_500] * 3)
    assert page_after(0) == [1, 2]


@pytest.mark.django_db
def test_a_page_of_events_without_a_size_has_a_limit_of_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_log, "PAGE_EVENTS", 4)
    log_each(*["short"] * 9)
    LoggedEvent.objects.update(size=0)
    assert [page_after(0), page_after(4), page_after(8)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]


@pytest.mark.django_db
def test_pages_that_are_read_together_have_the_bytes_of_one(
    monkeypatch: pytest.MonkeyPatch, alice: Person
) -> None:
    monkeypatch.setattr(event_log, "PAGE_BYTES", 10_000)
    log_messages(alice.user.pk, 3)
    log_each(*["x" * 4_000] * 5)
    hers = f"user.{alice.id}"
    asked = [("user.nobody", 2, 9), (hers, 0, 2), (STREAM, 0, 5), (hers, 2, 3), (STREAM, 5, 5)]
    seqs: list[list[list[int | None]]] = []
    while asked:
        pages = pages_after(asked)
        assert [page.complete for page in pages if page] == [
            stream != "user.nobody" for (stream, *_), page in zip(asked, pages, strict=True) if page
        ]
        seqs.append([[frame.seq for frame in page.frames] for page in pages if page])
        asked = [key for key, page in zip(asked, pages, strict=True) if page is None]
    assert seqs == [[[], [1, 2], [1, 2]], [[3], []]]


class SlowLog:
    """Stands for the log: a read waits until the test continues, and notes its arguments."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.at_once = self.most_at_once = 0
        self.go = asyncio.Event()

    async def read(self, work: object, keys: Any) -> list[Backlog]:
        self.asked.append(keys)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.go.wait()
        self.at_once -= 1
        return [Backlog([], complete=True)] * len(keys)


@pytest.fixture
def slow_log(monkeypatch: pytest.MonkeyPatch) -> SlowLog:
    slow = SlowLog()
    monkeypatch.setattr(pages_module, "in_thread", slow.read)
    return slow


def asking(pages: Pages, *keys: tuple[str, int, int]) -> "list[asyncio.Task[Backlog]]":
    return [asyncio.create_task(pages.read(*key)) for key in keys]


def test_sockets_that_ask_for_the_same_page_share_one_read(slow_log: SlowLog) -> None:
    async def scenario() -> None:
        pages = Pages()
        # The stream goes on far beyond the page.
        sockets = asking(pages, *[("feed", 0, 1_000), ("feed", 0, 1_001), ("feed", 0, 1_002)])
        await wait_until(lambda: len(slow_log.asked) == 1)
        slow_log.go.set()
        assert len({id(backlog) for backlog in await asyncio.gather(*sockets)}) == 1
        await pages.read("feed", 0, 1_000)

    asyncio.run(scenario())
    # A later request reads the page again.
    assert slow_log.asked == [[("feed", 0, event_log.PAGE_EVENTS)]] * 2


def test_a_socket_that_knows_of_more_events_gets_a_page_of_its_own(slow_log: SlowLog) -> None:
    async def scenario() -> None:
        pages = Pages()
        sockets = asking(pages, ("feed", 4, 5), ("feed", 4, 6))
        slow_log.go.set()
        await asyncio.gather(*sockets)

    asyncio.run(scenario())
    assert slow_log.asked == [[("feed", 4, 5), ("feed", 4, 6)]]


def test_a_few_pages_are_read_at_a_time_and_in_order(slow_log: SlowLog) -> None:
    keys = [(f"user.{number}", 0, 9) for number in range(2 * PAGES_TOGETHER)]

    async def scenario() -> None:
        sockets = asking(Pages(), *keys)
        await wait_until(lambda: len(slow_log.asked) == 1)
        slow_log.go.set()
        await asyncio.gather(*sockets)

    asyncio.run(scenario())
    assert slow_log.asked == [keys[:PAGES_TOGETHER], keys[PAGES_TOGETHER:]]
    assert slow_log.most_at_once == 1


def test_a_socket_that_leaves_does_not_cancel_the_page_of_the_others(slow_log: SlowLog) -> None:
    async def scenario() -> None:
        first, second = asking(Pages(), ("feed", 0, 9), ("feed", 0, 9))
        await wait_until(lambda: len(slow_log.asked) == 1)
        first.cancel()
        slow_log.go.set()
        assert (await second).complete

    asyncio.run(scenario())
    assert len(slow_log.asked) == 1


def test_a_socket_that_waits_too_long_for_a_page_is_refused_and_the_next_one_is_served(
    slow_log: SlowLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        pages = Pages()
        [hangs] = asking(pages, ("user.a", 0, 9))
        await wait_until(lambda: len(slow_log.asked) == 1)
        monkeypatch.setattr(together, "WAIT_SECONDS", 0.01)
        with pytest.raises(Busy):
            await asyncio.wait_for(pages.read("user.b", 0, 9), LONG)
        slow_log.go.set()
        assert (await hangs).complete
        assert (await pages.read("user.b", 0, 9)).complete

    asyncio.run(scenario())


def come_back_together(
    start_server: Callable[..., ServerProcess],
    alice: Person,
    bob: Person,
    tamper: str,
    *,
    seconds: float = 10,
) -> None:
    """Have sockets of two users catch up at once, each from another number, while the log grows.
    The process fails a page that is read at the same time as another one."""
    server = start_server(PARLEY_TAMPER=tamper)
    streams = {person.id: f"user.{person.id}" for person in (alice, bob)}
    for receiver in (alice, bob):
        log_messages(receiver.user.pk, 250)
    with ExitStack() as opened:
        sockets = [
            (person.id, opened.enter_context(TestSocket(server.url, token=person.access)))
            for person in (alice, bob) * 3
        ]
        for after, (person, socket) in enumerate(sockets):
            socket.send("subscribe", {"stream": streams[person], "after": after})
        for receiver in (alice, bob):
            log_messages(receiver.user.pk, 50)
        for after, (_, socket) in enumerate(sockets):
            got = [socket.expect("chat_message", seconds=seconds)["seq"] for _ in range(after, 300)]
            assert got == list(range(after + 1, 301))
            assert seqs(socket.settle()) == []


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_sockets_that_come_back_together_miss_nothing_and_read_one_page_at_a_time(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    come_back_together(start_server, alice, bob, "hurried,lonely-pages")


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_process_that_reads_pages_at_once_is_noticed(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person
) -> None:
    """The test above catches a build without the safeguard."""
    with pytest.raises(AssertionError, match="No chat_message within"):
        come_back_together(start_server, alice, bob, "hurried,lonely-pages,no-turns", seconds=4)
