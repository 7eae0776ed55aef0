"""The client with servers that really run, are killed, forget and go silent."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.tests.people import PASSWORD, Person
from apps.realtime.event_log import heads
from apps.realtime.models import LoggedEvent
from apps.realtime.tests.factories import log_messages
from parley_client import (
    Backoff,
    Client,
    Event,
    FileJournal,
    Invalid,
    Login,
    Message,
    NotFound,
    Position,
    Stopped,
    Timing,
)
from testing.proxy import Proxy
from testing.server import ServerProcess
from tests.bad_proxy import BadProxy

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

TIMING = Timing(backoff=Backoff(first=0.05, most=0.3))


def client_of(url: str, person: Person, **options: Any) -> Client:
    login = Login(access=person.access, refresh=person.refresh)
    return Client(url, login, **{"timing": TIMING, **options})


def play(scenario: Coroutine[Any, Any, None]) -> None:
    async def run() -> None:
        async with asyncio.timeout(120):
            await scenario

    asyncio.run(run())


async def wait_until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Device:
    """A client, with all that it got and all that it sent."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.got: list[Event] = []
        self.sent: list[Message] = []

    async def listen(self) -> None:
        """Note what arrives, until the client is closed."""
        async for event in self.client.events():
            self.got.append(event)

    async def goes_on(self) -> None:
        """Return after some more messages were acknowledged."""
        before = len(self.sent)
        await wait_until(lambda: len(self.sent) > before + 5)

    async def talk(self, to: Person, enough: asyncio.Event) -> None:
        """Send one message after the other until it is enough."""
        while not enough.is_set():
            self.sent.append(await self.client.send(to.id, f"Message {len(self.sent)}"))

    def messages(self) -> Counter[str]:
        """Return how often each message arrived, sent or received."""
        return Counter(
            event.data["message"]["id"]
            for event in self.got
            if event.type in {"chat_message", "chat_message_sent"}
        )

    def numbers(self, stream: str) -> list[int]:
        """Return the numbers of the events of a stream, as they came."""
        return [
            event.seq
            for event in self.got
            if event.stream == stream and event.seq is not None and event.type != "subscribed"
        ]

    def types(self) -> list[str]:
        """Return the types of what arrived."""
        return [event.type for event in self.got]


@asynccontextmanager
async def device_of(url: str, person: Person, **options: Any) -> AsyncIterator[Device]:
    """Yield a device of a person, which is connected and listens."""
    async with client_of(url, person, **options) as client, asyncio.TaskGroup() as tasks:
        await client.ready()
        device = Device(client)
        tasks.create_task(device.listen())
        yield device
        await client.close()


async def history(device: Device, other: Person) -> list[dict[str, Any]]:
    """Return all messages with another user, the oldest first, as REST shows them."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"userId": other.id, "limit": 100, "cursor": cursor}
        page = await device.client.call("GET", "/messages", params=params)
        found += page["data"]
        cursor = page["pagination"]["nextCursor"]
    return found[::-1]


async def check_all_of(sent: set[str], device: Device, person: Person, peer: Person) -> None:
    """Fail unless the device gets each message that was sent once and in order, and the history has
    each once and no other."""
    await wait_until(lambda: device.messages().keys() >= sent)
    assert device.messages() == dict.fromkeys(sent, 1)
    assert device.numbers(f"user.{person.id}") == list(range(1, len(sent) + 1))
    assert "reset" not in device.types()
    shown = await history(device, peer)
    assert sorted(row["id"] for row in shown) == sorted(sent)
    assert [row["seq"] for row in shown] == list(range(1, len(sent) + 1))


def crash(server: ServerProcess) -> None:
    """Kill the server, start it again on its port, and wait until it serves."""
    server.kill()
    server.__enter__()


@pytest.mark.parametrize(("transport", "kills"), [("auto", 2), ("http", 1)])
def test_a_chat_loses_and_repeats_nothing_while_its_server_is_killed(
    start_server: Callable[..., ServerProcess],
    alice: Person,
    bob: Person,
    caplog: pytest.LogCaptureFixture,
    transport: str,
    kills: int,
) -> None:
    caplog.set_level(logging.INFO, "parley_client")
    server = start_server()

    async def scenario() -> None:
        enough = asyncio.Event()
        async with (
            device_of(server.url, alice, transport=transport) as one,
            device_of(server.url, bob, transport=transport) as other,
        ):
            async with asyncio.TaskGroup() as talks:
                for _ in range(3):
                    talks.create_task(one.talk(bob, enough))
                    talks.create_task(other.talk(alice, enough))
                for _ in range(kills):
                    await asyncio.gather(one.goes_on(), other.goes_on())
                    await asyncio.to_thread(crash, server)
                await asyncio.gather(one.goes_on(), other.goes_on())
                enough.set()
            sent = {message.id for message in [*one.sent, *other.sent]}
            await check_all_of(sent, one, alice, bob)
            await check_all_of(sent, other, bob, alice)

    play(scenario())
    happened = Counter(getattr(record, "happened", "") for record in caplog.records)
    assert happened["connection lost"] >= 2 * kills
    assert happened["message doubtful"]


def test_a_stream_whose_events_are_deleted_is_reset(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    stream = f"user.{alice.id}"
    log_messages(alice.user.pk, 9)
    epoch = heads([stream])[stream][1]
    LoggedEvent.objects.filter(stream=stream, seq__lte=4).delete()

    async def scenario() -> None:
        positions = {stream: Position(2, epoch)}
        async with device_of(server.url, alice, positions=positions) as device:
            await wait_until(lambda: device.got)
            [reset] = device.got
            assert (reset.type, reset.stream, reset.seq, reset.epoch) == ("reset", stream, 9, epoch)
            await device.client.send(bob.id, "Ahoy")
            await wait_until(lambda: len(device.got) == 2)
            assert device.numbers(stream) == [9, 10]

    play(scenario())


def test_a_client_goes_on_where_an_earlier_one_stopped(
    server: ServerProcess, alice: Person
) -> None:
    stream = f"user.{alice.id}"
    log_messages(alice.user.pk, 5)
    epoch = heads([stream])[stream][1]

    async def scenario() -> None:
        positions = {stream: Position(2, epoch)}
        async with device_of(server.url, alice, positions=positions) as device:
            await wait_until(lambda: len(device.got) == 3)
            assert device.numbers(stream) == [3, 4, 5]

    play(scenario())


def test_a_log_that_was_restored_to_the_same_number_is_noticed(
    server: ServerProcess, alice: Person
) -> None:
    """The head alone would say that nothing is missing."""
    stream = f"user.{alice.id}"
    log_messages(alice.user.pk, 5)

    async def scenario() -> None:
        positions = {stream: Position(5, "another")}
        async with device_of(server.url, alice, positions=positions) as device:
            await wait_until(lambda: device.types() == ["reset"])

    play(scenario())


def test_the_feed_is_received_if_it_is_wanted(server: ServerProcess, alice: Person) -> None:
    async def scenario() -> None:
        async with device_of(server.url, alice, streams=["feed"]) as device:
            post = {"title": "Ahoy", "content": "Long enough to be one", "status": "published"}
            for _ in range(3):
                await device.client.call("POST", "/posts", json=post)
            await wait_until(lambda: len(device.numbers("feed")) == 3)
            assert device.types().count("post_published") == 3

    play(scenario())


def test_a_link_that_falls_silent_is_noticed(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    timing = Timing(silence=0.6, backoff=TIMING.backoff)
    # A link that falls silent before Bob's client knows the epoch of the stream leads to a reset.
    log_messages(bob.user.pk, 1)

    async def scenario(network: Proxy) -> None:
        url = f"http://127.0.0.1:{network.port}"
        async with (
            device_of(server.url, alice) as one,
            device_of(url, bob, timing=timing) as other,
        ):
            await one.client.send(bob.id, "before")
            await wait_until(lambda: len(other.messages()) == 1)
            network.fall_silent()
            sending = asyncio.create_task(other.client.send(alice.id, "into silence"))
            await one.client.send(bob.id, "after")
            await sending
            await wait_until(lambda: len(other.messages()) == 3)
            assert set(other.messages().values()) == {1}
            assert len(await history(one, bob)) == 3

    with Proxy(server.port) as network:
        play(scenario(network))


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_a_message_whose_answer_is_lost_is_stored_once(
    server: ServerProcess, alice: Person, bob: Person, transport: str
) -> None:
    timing = Timing(silence=0.6, opening=1.0, polling=1, backoff=TIMING.backoff)

    async def scenario() -> None:
        async with (
            BadProxy(server.port) as network,
            device_of(network.url, alice, transport=transport, timing=timing) as one,
            device_of(server.url, bob) as other,
        ):
            network.loses_answers = True
            sending = asyncio.create_task(one.client.send(bob.id, "Ahoy"))
            await wait_until(other.messages)
            assert not sending.done()
            network.loses_answers = False
            message = await sending
            assert [row["id"] for row in await history(other, alice)] == [message.id]
            await wait_until(one.messages)
            assert one.messages() == other.messages() == {message.id: 1}

    play(scenario())


def test_a_client_polls_while_websockets_are_blocked_and_returns_to_them(
    server: ServerProcess, alice: Person, bob: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "parley_client")
    timing = Timing(return_after=0.5, backoff=TIMING.backoff)

    def opened() -> int:
        return sum(getattr(one, "happened", "") == "websocket opened" for one in caplog.records)

    async def scenario() -> None:
        async with BadProxy(server.port) as network:
            network.blocks = True
            async with device_of(network.url, alice, timing=timing) as device:
                assert not opened()
                await device.client.send(bob.id, "by HTTP")
                await wait_until(lambda: len(device.messages()) == 1)
                network.blocks = False
                await wait_until(opened)
                await device.client.send(bob.id, "by websocket")
                await wait_until(lambda: len(device.messages()) == 2)
                assert set(device.messages().values()) == {1}

    play(scenario())


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_a_refused_message_raises_why(
    server: ServerProcess, alice: Person, bob: Person, transport: str
) -> None:
    async def scenario() -> None:
        async with device_of(server.url, alice, transport=transport) as device:
            with pytest.raises(NotFound):
                await device.client.send("00000000-0000-7000-8000-000000000000", "Ahoy")
            with pytest.raises(Invalid) as invalid:
                await device.client.send(alice.id, "Ahoy")
            assert invalid.value.errors
            with pytest.raises(Invalid):
                await device.client.send(bob.id, "")
            assert await history(device, bob) == []

    play(scenario())


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_a_message_of_an_earlier_program_is_stored_once(
    server: ServerProcess, alice: Person, bob: Person, tmp_path: Path, transport: str
) -> None:
    journal = FileJournal(tmp_path / "journal")
    entry = {"receiverId": bob.id, "content": "Ahoy", "clientId": "c1"}

    async def scenario() -> None:
        async with device_of(server.url, alice, transport=transport) as device:
            await device.client.send(bob.id, "Ahoy", client_id="c1")
        # The program died between the acknowledgement and its note of it.
        journal.add(entry)
        async with client_of(server.url, alice, transport=transport, journal=journal) as client:
            message = await client.outcomes()["c1"]
            assert [row["id"] for row in await history(Device(client), bob)] == [message.id]

    play(scenario())
    assert list(journal.entries()) == []


@pytest.mark.parametrize("ticket", [False, True])
def test_a_token_that_is_not_valid_is_renewed(
    server: ServerProcess, alice: Person, ticket: bool
) -> None:
    kept: list[tuple[str, str]] = []

    async def scenario() -> None:
        login = Login(
            access="not valid", refresh=alice.refresh, keep=lambda *pair: kept.append(pair)
        )
        async with Client(server.url, login, timing=TIMING, ticket=ticket) as client:
            await client.ready()
            profile = await client.call("GET", "/auth/profile")
            assert profile["data"]["id"] == alice.id

    play(scenario())
    assert len(kept) == 1


def test_a_user_logs_in_again_when_the_refresh_token_is_not_valid(
    server: ServerProcess, alice: Person
) -> None:
    async def scenario() -> None:
        login = Login(alice.user.email, PASSWORD, refresh="not valid")
        async with Client(server.url, login, timing=TIMING) as client:
            await client.ready()

    play(scenario())


def test_a_user_without_a_valid_token_is_told(server: ServerProcess) -> None:
    async def scenario() -> None:
        login = Login(access="not valid", refresh="not valid")
        async with Client(server.url, login, timing=TIMING) as client:
            with pytest.raises(Stopped, match="credentials"):
                await client.ready()

    play(scenario())


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_a_client_whose_session_ends_stops(
    server: ServerProcess, alice: Person, transport: str
) -> None:
    async def scenario() -> None:
        async with client_of(server.url, alice, transport=transport) as client:
            await client.ready()
            events = aiter(client.events())
            await anext(events)
            await client.call("POST", "/auth/logout")
            with pytest.raises(Stopped):
                await anext(events)

    play(scenario())
