"""After each end of a connection the client does what the server asks for."""

import asyncio

import pytest

from parley_client import Backoff, Client, ConnectionLost, Stopped
from parley_client.answers import retry_after_of
from parley_client.reconnecting import Transport
from tests.scripted import USER, Earliest, Listener, ScriptedServer, Tokens, brisk, play


@pytest.mark.parametrize("code", [4501, 4502, 4999])
def test_a_client_that_shall_not_come_back_stays_away(code: int) -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer, listener = await server.next(), Listener(client)
        await peer.connected()
        await listener.next()
        await peer.connection.close(code)
        with pytest.raises(Stopped) as stopped:
            await listener.next()
        assert stopped.value.code == code
        with pytest.raises(Stopped):
            await client.send("2", "Ahoy")
        assert server.opened == 1

    play(scenario)


@pytest.mark.parametrize("code", [1001, 1011, 4400, 4408, 4429])
def test_a_client_comes_back_after_a_random_delay_that_grows(code: int) -> None:
    chance = Earliest()

    async def scenario(server: ScriptedServer, client: Client) -> None:
        for _ in range(4):
            peer = await server.next()
            await peer.connection.close(code)
        await server.next()
        assert chance.asked == [(0, 10.0), (0, 20.0), (0, 40.0), (0, 60.0)]

    play(scenario, timing=brisk(backoff=Backoff(first=10, most=60, random=chance)))


def test_a_client_comes_back_to_a_server_that_restarts_within_1_to_10_seconds() -> None:
    chance = Earliest()

    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer = await server.next()
        await peer.connection.close(1012)
        await server.next()
        assert chance.asked[-1] == (1.0, 10.0)

    play(scenario, timing=brisk(backoff=Backoff(random=chance)))


def test_a_client_whose_token_is_refused_comes_back_with_another() -> None:
    tokens = Tokens()

    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer = await server.next()
        assert peer.token == "Bearer token-1"
        await peer.connection.close(4401)
        assert (await server.next()).token == "Bearer token-2"
        assert tokens.rejected == ["token-1"]

    play(scenario, tokens=tokens)


def test_a_connection_on_which_nothing_arrives_is_given_up() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer = await server.next()
        await peer.connected()
        await peer.resume(0)
        await peer.expect("ping")
        await server.next()

    play(scenario, timing=brisk(silence=0.2))


def test_a_quiet_connection_that_answers_is_kept() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer = await server.next()
        await peer.connected()
        await peer.resume(0)
        for _ in range(3):
            await peer.answer(await peer.expect("ping"), "pong", {"streams": {USER: 0}})
        assert server.opened == 1

    play(scenario, timing=brisk(silence=0.2))


def test_a_server_that_opens_and_says_nothing_is_left() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        await server.next()
        await server.next()

    play(scenario, timing=brisk(opening=0.1), transport="websocket")


def test_a_frame_that_is_malformed_ends_the_connection() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        for broken in ("no json", "[]", '{"type": "heartbeat"}'):
            peer = await server.next()
            await peer.connected()
            await peer.connection.send(broken)
        await server.next()

    play(scenario)


def test_a_question_without_an_answer_is_told() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        with pytest.raises(ConnectionLost):
            await client.ask("typing", receiverId="2", isTyping=True)
        peer = await server.next()
        await peer.connected()
        await peer.resume(0)
        asking = asyncio.create_task(client.ask("typing", receiverId="2", isTyping=True))
        assert (await peer.expect("typing"))["data"] == {"receiverId": "2", "isTyping": True}
        peer.connection.transport.abort()
        with pytest.raises(ConnectionLost):
            await asking

    play(scenario)


@pytest.mark.parametrize("transport", ["http", "auto"])
def test_a_page_of_the_network_instead_of_an_answer_does_not_end_the_client(
    transport: Transport,
) -> None:
    """So a network asks its users to log in."""
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
        writer.close()

    async def ask() -> None:
        async with (
            asyncio.timeout(20),
            await asyncio.start_server(answer, "127.0.0.1", 0) as server,
        ):
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with Client(url, Tokens(), transport=transport, timing=brisk()):
                for _ in range(6):
                    await asked.get()

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("asked", "waited"), [("7", 7), ("9" * 400, 3600), ("soon", None), ("", None)]
)
def test_a_server_is_left_alone_for_as_long_as_it_asks_but_not_for_ever(
    asked: str, waited: float | None
) -> None:
    assert retry_after_of({"Retry-After": asked}) == waited


def test_what_no_frame_can_hold_is_told_to_those_who_ask_for_it() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        peer = await server.next()
        await peer.connected()
        await peer.resume(0)
        for wrong in ({"room": "half of a sign: \ud83d"}, {"number": float("nan")}):
            with pytest.raises(ValueError, match=r"surrogates|JSON compliant"):
                await client.ask("join_room", **wrong)
        asking = asyncio.create_task(client.ask("join_room", room="room.a"))
        await peer.answer(await peer.expect("join_room"), "ack", {"count": 1})
        assert await asking == {"count": 1}

    play(scenario)
