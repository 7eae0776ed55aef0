"""Neighbours that misbehave over websockets."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from bench.clients import DeafSocket, listening_socket
from bench.sockets import CONTINUATION, PING, TEXT, frame
from bench.target import ADDRESS, Target, Told, left, over_and_over

# Of a flood on each process: so many frames, and a rest in seconds.
BURST, STEP = 150, 0.01
# As large as a control frame may be.
PINGS = frame(PING, bytes(125)) * BURST
BEGINNING = frame(TEXT, b"{", final=False)
EMPTY_PARTS = frame(CONTINUATION, b"", final=False) * BURST
RECEIVING_SOCKETS = 8
# Messages per second on each process, within all limits, of 5,000 characters with four bytes each.
LARGE_MESSAGES = 12
# Of a stalled reader, between two pings, in seconds.
PROBE = 0.1
LARGE = "\N{GRINNING FACE}" * 5_000


async def ping_flood(target: Target, told: Told, end: float) -> None:
    """Ask for pongs, as large and as many as go, and read none."""
    await _flood(target, told, end, b"", PINGS, "pings")


async def empty_fragments(target: Target, told: Told, end: float) -> None:
    """Begin a message whose parts are empty and of which none is the last."""
    await _flood(target, told, end, BEGINNING, EMPTY_PARTS, "fragments")


async def _flood(
    target: Target, told: Told, end: float, first: bytes, burst: bytes, name: str
) -> None:
    async def attempt(port: int) -> str:
        socket = await DeafSocket.open(port, ADDRESS, target.accounts[0].token)
        with suppress(OSError):
            async with asyncio.timeout(left(end)):
                await socket.write(first)
                while True:
                    await socket.write(burst)
                    told[name] += BURST
                    await asyncio.sleep(STEP)
        return await socket.fate()

    await asyncio.gather(
        *(over_and_over(partial(attempt, port), told, end) for port in target.ports)
    )


async def stalled_readers(target: Target, told: Told, end: float) -> None:
    """Subscribe to what there is, receive large messages, and read nothing."""
    reader = target.accounts[0]
    subscribe = frame(TEXT, _command("subscribe", {"stream": "feed", "after": 0}).encode())
    ask = frame(TEXT, _command("ping", {}).encode())

    async def stall(port: int) -> str:
        socket = await DeafSocket.open(port, ADDRESS, reader.token)
        with suppress(OSError):
            async with asyncio.timeout(left(end)):
                await socket.write(subscribe)
                while True:
                    # Who has been hung up on learns of it by writing.
                    await asyncio.sleep(PROBE)
                    await socket.write(ask)
        return await socket.fate()

    await _large_messages_to(stall, target, told, end)


async def healthy_readers(target: Target, told: Told, end: float) -> None:
    """Receive the same large messages and read them: a control for `stalled_readers`, whose
    messages alone, all within the limits, are work for the servers."""
    reader = target.accounts[0]

    async def read(port: int) -> str:
        async with listening_socket(port, ADDRESS, reader.token) as socket:
            with suppress(TimeoutError):
                async with asyncio.timeout(left(end)):
                    async for _ in socket:
                        told["frames read"] += 1
        return "reader left"

    await _large_messages_to(read, target, told, end)


async def _large_messages_to(
    receive: Callable[[int], Awaitable[str]], target: Target, told: Told, end: float
) -> None:
    reader, writer = target.accounts[:2]

    async def send(port: int) -> str:
        async with listening_socket(port, ADDRESS, writer.token) as socket:
            hearing = asyncio.create_task(_hear(socket, told))
            with suppress(OSError, WebSocketException):
                async with asyncio.timeout(left(end)):
                    while True:
                        message = {"receiverId": reader.id, "content": LARGE}
                        await socket.send(_command("chat_message", message))
                        await asyncio.sleep(1 / LARGE_MESSAGES)
            hearing.cancel()
        return "writer left"

    attempts: list[Callable[[], Awaitable[str]]] = [
        partial(receive, target.ports[number % 2]) for number in range(RECEIVING_SOCKETS)
    ]
    attempts += [partial(send, port) for port in target.ports]
    await asyncio.gather(*(over_and_over(attempt, told, end) for attempt in attempts))


async def _hear(socket: ClientConnection, told: Told) -> None:
    async for text in socket:
        answer = orjson.loads(text)
        if answer["type"] == "ack":
            told["large messages"] += 1
        elif answer["type"] == "error":
            told[f"messages refused ({answer['data']['code']})"] += 1


def _command(kind: str, data: dict[str, Any]) -> str:
    return orjson.dumps({"type": kind, "data": data}).decode()
