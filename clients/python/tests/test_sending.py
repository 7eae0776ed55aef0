"""A message is sent with one client id until the server says what became of it."""

import asyncio
import logging
from pathlib import Path

import pytest

from parley_client import Client, FileJournal, Forbidden, Invalid, RateLimited, Refused, Stopped
from tests.scripted import Listener, Peer, ScriptedServer, Tokens, brisk, play, scripted


async def begun(server: ScriptedServer) -> Peer:
    """Return the next websocket of the client, once its stream is resumed."""
    peer = await server.next()
    await peer.connected()
    await peer.resume(0)
    return peer


def test_a_message_is_returned_once_it_is_stored() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        sending = asyncio.create_task(client.send("2", "Ahoy"))
        peer = await begun(server)
        asked = await peer.expect("chat_message")
        assert not sending.done()
        await peer.acknowledge(asked, seq=4)
        message = await sending
        assert (message.id, message.seq, message.content) == ("m4", 4, "Ahoy")
        assert message.client_id == asked["data"]["clientId"]

    play(scenario)


def test_a_message_whose_answer_was_lost_is_sent_again_with_its_client_id() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        sending = asyncio.create_task(client.send("2", "Ahoy"))
        peer = await begun(server)
        first = await peer.expect("chat_message")
        peer.connection.transport.abort()
        peer = await begun(server)
        again = await peer.expect("chat_message")
        assert again["data"] == first["data"]
        await peer.acknowledge(again)
        assert (await sending).client_id == first["data"]["clientId"]

    play(scenario)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("FORBIDDEN", Forbidden),
        ("VALIDATION_ERROR", Invalid),
        ("RATE_LIMIT_EXCEEDED", RateLimited),
        ("OF_A_LATER_RELEASE", Refused),
    ],
)
def test_a_refusal_is_raised_as_what_it_is(code: str, kind: type[Refused]) -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        sending = asyncio.create_task(client.send("2", "Ahoy"))
        peer = await begun(server)
        errors = [{"field": "content", "message": "Too long.", "code": "max_length"}]
        refusal = {"code": code, "message": "No.", "errors": errors}
        await peer.answer(await peer.expect("chat_message"), "error", refusal)
        with pytest.raises(kind) as refused:
            await sending
        assert (refused.value.code, refused.value.errors) == (code, errors)

    play(scenario)


def test_a_message_that_the_server_is_too_busy_for_is_sent_again() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        sending = asyncio.create_task(client.send("2", "Ahoy"))
        peer = await begun(server)
        first = await peer.expect("chat_message")
        await peer.answer(first, "error", {"code": "SERVICE_UNAVAILABLE", "message": "Busy"})
        again = await peer.expect("chat_message")
        assert again["data"] == first["data"]
        await peer.acknowledge(again)
        await sending

    play(scenario)


def test_messages_keep_their_order_over_a_broken_connection() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        sending = [asyncio.create_task(client.send("2", text)) for text in "abc"]
        peer = await begun(server)
        await peer.acknowledge(await peer.expect("chat_message"))
        await peer.expect("chat_message")
        peer.connection.transport.abort()
        peer = await begun(server)
        for text in "bc":
            asked = await peer.expect("chat_message")
            assert asked["data"]["content"] == text
            await peer.acknowledge(asked)
        await asyncio.gather(*sending)

    play(scenario)


def test_a_message_that_no_frame_can_hold_is_refused_at_once() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        with pytest.raises(Refused, match="PAYLOAD_TOO_LARGE"):
            await client.send("2", "x" * 65_536)

    play(scenario)


def test_a_send_that_is_cancelled_does_not_take_the_message_back() -> None:
    async def scenario(server: ScriptedServer, client: Client) -> None:
        sending = asyncio.create_task(client.send("2", "Ahoy", client_id="c1"))
        peer = await begun(server)
        asked = await peer.expect("chat_message")
        sending.cancel()
        outcome = client.outcomes()["c1"]
        await peer.acknowledge(asked)
        assert (await outcome).id == "m1"

    play(scenario)


def test_a_program_that_starts_again_sends_what_has_no_outcome_with_its_client_id(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal"

    async def scenario() -> None:
        async with scripted() as server:
            first = Client(server.url, Tokens(), timing=brisk(), journal=FileJournal(path))
            async with first as client:
                done = asyncio.create_task(client.send("2", "before", client_id="c0"))
                peer = await begun(server)
                await peer.acknowledge(await peer.expect("chat_message"))
                await done
                lost = asyncio.create_task(client.send("2", "Ahoy", client_id="c1"))
                await peer.expect("chat_message")
            with pytest.raises(Stopped):
                await lost
            second = Client(server.url, Tokens(), timing=brisk(), journal=FileJournal(path))
            async with second as client:
                outcome = client.outcomes()["c1"]
                peer = await begun(server)
                asked = await peer.expect("chat_message")
                assert asked["data"] == {
                    "receiverId": "2",
                    "content": "Ahoy",
                    "clientId": "c1",
                }
                await peer.acknowledge(asked)
                assert (await outcome).id == "m1"
        assert list(FileJournal(path).entries()) == []

    asyncio.run(scenario())


def test_many_messages_stay_within_the_limit_of_frames() -> None:
    """The server closes the socket of a client that sends more than 60 frames at once."""

    async def scenario(server: ScriptedServer, client: Client) -> None:
        sending = [asyncio.create_task(client.send("2", str(n))) for n in range(50)]
        peer, listener = await begun(server), Listener(client)
        clock = asyncio.get_running_loop().time
        began = clock()
        for _ in sending:
            await peer.acknowledge(await peer.expect("chat_message"))
        await asyncio.gather(*sending)
        assert clock() - began > 0.5
        await listener.next()

    play(scenario)


def test_the_log_says_what_became_of_a_message_and_nothing_of_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "parley_client")

    async def scenario(server: ScriptedServer, client: Client) -> None:
        sending = asyncio.create_task(client.send("2", "Ahoy", client_id="c1"))
        peer = await begun(server)
        await peer.expect("chat_message")
        peer.connection.transport.abort()
        peer = await begun(server)
        await peer.acknowledge(await peer.expect("chat_message"))
        await sending

    play(scenario)
    records = [one for one in caplog.records if one.name == "parley_client"]
    lines = [(one.__dict__["happened"], one.__dict__["fields"]) for one in records]
    assert [line for line in lines if line[1].get("client_id") == "c1"] == [
        ("message sent", {"client_id": "c1", "attempt": 1}),
        ("message doubtful", {"client_id": "c1"}),
        ("message sent", {"client_id": "c1", "attempt": 2}),
        ("message acknowledged", {"client_id": "c1", "message_id": "m1", "seq": 1, "attempts": 2}),
    ]
    happened = [happened for happened, _ in lines]
    assert happened.count("websocket opened") == 2
    assert happened.count("connection lost") == 1
    assert happened[-1] == "stopped"
    assert not any("Ahoy" in one.getMessage() or "token-1" in one.getMessage() for one in records)
