"""Whatever a connection loses, repeats or reorders, each event is applied once and in order."""

import asyncio

import pytest

from parley_client import Client, Position, Stopped
from tests.scripted import USER, Listener, ScriptedServer, messages, play


def test_a_hole_is_filled_before_what_comes_after_it() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected()
        await peer.resume(0)
        for seq in (1, 3):
            await peer.event(seq)
        assert await peer.resume(3) == {"stream": USER, "after": 1, "epoch": "one"}
        for seq in (2, 3, 4):
            await peer.event(seq)
        assert await listener.take(5) == [("subscribed", 0), *messages(1, 2, 3, 4)]

    play(scenario)


def test_repeats_are_dropped() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected()
        await peer.resume(0)
        for seq in (1, 1, 2, 1, 2, 3):
            await peer.event(seq)
        assert await listener.take(4) == [("subscribed", 0), *messages(1, 2, 3)]

    play(scenario)


@pytest.mark.parametrize("kind", ["heartbeat", "pong"])
def test_a_head_tells_of_a_last_event_that_was_lost(kind: str) -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected()
        await peer.resume(0)
        await peer.send(kind, {"streams": {USER: 1}})
        assert (await peer.resume(1))["after"] == 0
        await peer.event(1)
        assert await listener.take(2) == [("subscribed", 0), *messages(1)]

    play(scenario)


def test_a_stream_resumes_after_a_broken_connection() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected()
        await peer.resume(0)
        await peer.event(1)
        await listener.take(2)
        peer.connection.transport.abort()
        peer = await server.next()
        await peer.connected(**{USER: 3})
        assert await peer.resume(3) == {"stream": USER, "after": 1, "epoch": "one"}
        for seq in (2, 3):
            await peer.event(seq)
        assert await listener.take(2) == messages(2, 3)

    play(scenario)


def test_a_client_goes_on_where_an_earlier_one_stopped() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected(**{USER: 8})
        assert await peer.resume(8) == {"stream": USER, "after": 7, "epoch": "one"}
        await peer.event(8)
        event = await listener.next()
        assert (event.stream, event.seq, event.epoch) == (USER, 8, "one")

    play(scenario, positions={USER: Position(7, "one")})


def test_a_reset_tells_the_application_and_goes_on() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected(**{USER: 9})
        asked = await peer.expect("subscribe")
        await peer.answer(asked, "reset", {"stream": USER, "head": 9, "epoch": "two"})
        await peer.event(10)
        assert await listener.take(2) == [("reset", 9), *messages(10)]
        await peer.send("reset", {"stream": USER, "head": 4, "epoch": "three"})
        await peer.event(5)
        assert await listener.take(2) == [("reset", 4), *messages(5)]

    play(scenario, positions={USER: Position(7, "one")})


def test_a_wanted_stream_is_subscribed_to_from_its_head() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected()
        assert await peer.resume(6, stream="feed") == {"stream": "feed"}
        await peer.resume(0)
        await client.ready()
        await peer.event(7, stream="feed")
        assert await listener.take(3) == [("subscribed", 0), ("subscribed", 6), *messages(7)]

    play(scenario, streams=["feed"])


def test_a_group_that_the_user_joins_and_leaves() -> None:
    group = "conversation.1"

    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected()
        await peer.resume(0)
        data = {"stream": group, "head": 8, "epoch": "one", "recovered": True}
        await peer.send("subscribed", data)
        for seq in (7, 8):
            await peer.event(seq, stream=group)
        await peer.send("unsubscribed", {"stream": group})
        got = await listener.take(5)
        assert got[1:] == [("subscribed", None), *messages(7, 8), ("unsubscribed", None)]

    play(scenario)


def test_a_stream_that_may_not_be_read_is_told_and_not_asked_for_again() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected()
        asked = await peer.expect("subscribe")
        await peer.answer(asked, "error", {"code": "NOT_FOUND", "message": "No such stream"})
        await peer.resume(0)
        await listener.next()
        event = await listener.next()
        assert (event.type, event.stream, event.data["code"]) == (
            "unsubscribed",
            "feed",
            "NOT_FOUND",
        )
        await peer.connection.close(4408)
        peer = await server.next()
        await peer.connected()
        await peer.resume(0)

    play(scenario, streams=["feed"])


def test_a_busy_server_is_asked_for_the_stream_again() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer = await server.next()
        await peer.connected()
        asked = await peer.expect("subscribe")
        await peer.answer(asked, "error", {"code": "SERVICE_UNAVAILABLE", "message": "Busy"})
        await peer.resume(0)

    play(scenario)


def test_an_application_that_does_not_read_loses_nothing() -> None:
    """The client does not keep more than it may, and asks for the rest when there is room."""

    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected()
        await peer.resume(0)
        for seq in range(1, 11):
            await peer.event(seq)
        # The pong comes after all events.
        asking = asyncio.create_task(client.ask("ping"))
        asked = await peer.expect("ping")
        await peer.answer(asked, "pong", {"streams": {USER: 10}})
        await asking
        assert await listener.take(4) == [("subscribed", 0), *messages(1, 2, 3)]
        assert (await peer.resume(10))["after"] == 3
        for seq in range(4, 7):
            await peer.event(seq)
        assert await listener.take(3) == messages(4, 5, 6)

    play(scenario, most_waiting=4)


def test_signals_and_unknown_frames_reach_the_application() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected()
        await peer.send("typing", {"senderId": "2", "isTyping": True})
        await peer.send("of a later release", {})
        assert await listener.take(3) == [
            ("subscribed", 0),
            ("typing", None),
            ("of a later release", None),
        ]

    play(scenario)


def test_events_end_when_the_client_is_closed() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        await client.close()
        assert [event async for event in client.events()] == []
        with pytest.raises(Stopped):
            await client.send("2", "Ahoy")

    play(scenario)
