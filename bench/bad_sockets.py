"""Neighbours that misbehave over websockets."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from bench.clients import StalledSocket, open_socket
from bench.sockets import CONTINUATION, PING, TEXT, frame
from bench.target import ADDRESS, Tally, Target, left, repeat_until

# A flood on each process: so many frames at once, and the seconds until the next ones.
BURST, STEP = 150, 0.01
# As large as a control frame may be.
PINGS = frame(PING, bytes(125)) * BURST
BEGINNING = frame(TEXT, b"{", final=False)
EMPTY_PARTS = frame(CONTINUATION, b"", final=False) * BURST
RECEIVING_SOCKETS = 8
# Messages per second on each process, of 5,000 characters of four bytes each: so few that the same
# messages cost others little when they are read (`healthy_readers`).
LARGE_MESSAGES = 6
# Seconds between two pings of a stalled reader.
PROBE = 0.1
LARGE = "\N{GRINNING FACE}" * 5_000


async def ping_flood(target: Target, tally: Tally, end: float) -> None:
    """Send pings of the largest size, as fast as the burst allows, and read no pong."""
    await _flood(target, tally, end, b"", PINGS, "pings")


async def empty_fragments(target: Target, tally: Tally, end: float) -> None:
    """Begin a message and continue it with empty parts, none of which is the last."""
    await _flood(target, tally, end, BEGINNING, EMPTY_PARTS, "fragments")


async def _flood(
    target: Target, tally: Tally, end: float, first: bytes, burst: bytes, name: str
) -> None:
    async def attempt(port: int) -> str:
        socket = await StalledSocket.open(port, ADDRESS, target.accounts[0].token)
        with suppress(OSError):
            async with asyncio.timeout(left(end)):
                await socket.write(first)
                while True:
                    await socket.write(burst)
                    tally[name] += BURST
                    await asyncio.sleep(STEP)
        return await socket.outcome()

    await asyncio.gather(
        *(repeat_until(partial(attempt, port), tally, end) for port in target.ports)
    )


async def stalled_readers(target: Target, tally: Tally, end: float) -> None:
    """Subscribe to what there is, receive large messages, and read nothing."""
    reader = target.accounts[0]
    subscribe = frame(TEXT, _command("subscribe", {"stream": "feed", "after": 0}).encode())
    ping = frame(TEXT, _command("ping", {}).encode())

    async def stall(port: int) -> str:
        socket = await StalledSocket.open(port, ADDRESS, reader.token)
        with suppress(OSError):
            async with asyncio.timeout(left(end)):
                await socket.write(subscribe)
                while True:
                    # Only a write tells a client that its connection is closed.
                    await asyncio.sleep(PROBE)
                    await socket.write(ping)
        return await socket.outcome()

    await _large_messages_to(stall, target, tally, end)


async def healthy_readers(target: Target, tally: Tally, end: float) -> None:
    """Receive the same large messages and read them: a control for `stalled_readers`, whose
    messages alone, all within the limits, are work for the servers."""
    reader = target.accounts[0]

    async def read(port: int) -> str:
        async with open_socket(port, ADDRESS, reader.token) as socket:
            with suppress(TimeoutError):
                async with asyncio.timeout(left(end)):
                    async for _ in socket:
                        tally["frames read"] += 1
        return "reader left"

    await _large_messages_to(read, target, tally, end)


async def _large_messages_to(
    receive: Callable[[int], Awaitable[str]], target: Target, tally: Tally, end: float
) -> None:
    reader, writer = target.accounts[:2]

    async def send(port: int) -> str:
        async with open_socket(port, ADDRESS, writer.token) as socket:
            receiving = asyncio.create_task(_receive(socket, tally))
            with suppress(OSError, WebSocketException):
                async with asyncio.timeout(left(end)):
                    while True:
                        message = {"receiverId": reader.id, "content": LARGE}
                        await socket.send(_command("chat_message", message))
                        await asyncio.sleep(1 / LARGE_MESSAGES)
            receiving.cancel()
        return "writer left"

    attempts: list[Callable[[], Awaitable[str]]] = [
        partial(receive, target.ports[number % 2]) for number in range(RECEIVING_SOCKETS)
    ]
    attempts += [partial(send, port) for port in target.ports]
    await asyncio.gather(*(repeat_until(attempt, tally, end) for attempt in attempts))


async def _receive(socket: ClientConnection, tally: Tally) -> None:
    async for text in socket:
        received = orjson.loads(text)
        if received["type"] == "ack":
            tally["large messages"] += 1
        elif received["type"] == "error":
            tally[f"messages refused ({received['data']['code']})"] += 1


def _command(kind: str, data: dict[str, Any]) -> str:
    return orjson.dumps({"type": kind, "data": data}).decode()
