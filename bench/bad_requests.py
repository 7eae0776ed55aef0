"""Neighbours that misbehave over HTTP."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import cycle, repeat
from urllib.parse import urlencode

import orjson
import psycopg

from bench.clients import Browser, dial
from bench.target import ADDRESS, Target, Told, left, over_and_over

HEAD = b"GET /api/v1/posts HTTP/1.1\r\nHost: 127.0.0.1\r\n"
# A bomb's pieces, the rest between two of them in seconds, and how many make a whole one: 8 MB.
BOMB_STEP, BOMB_PIECES = 0.01, 512
FILLER = b"X-Filler: " + b"x" * 16_000 + b"\r\n"
HEADER_BOMBS, URL_BOMBS = 12, 4
SLOW_HEADS, SLOW_STEP = 200, 1.0
LOGINS = 12
WRONG = "not the password"
UPDATERS = 12
# The least time between two requests of one of these, so that refusals are no flood, in seconds.
BETWEEN = 0.1

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_CSRF = re.compile(rb"csrftoken=(\w+)")
Attempt = Callable[[], Awaitable[str]]


async def header_bomb(target: Target, told: Told, end: float) -> None:
    """Send heads without end: some of ever more headers, some of one address."""
    headers = partial(_drip, told, end, [HEAD, *repeat(FILLER, BOMB_PIECES)], BOMB_STEP)
    address = partial(_drip, told, end, [b"GET /", *repeat(b"x" * 16_384, BOMB_PIECES)], BOMB_STEP)
    await _on_both([*repeat(headers, HEADER_BOMBS), *repeat(address, URL_BOMBS)], target, told, end)


async def slow_heads(target: Target, told: Told, end: float) -> None:
    """Send heads without end, a byte at a time."""
    drip = partial(_drip, told, end, [bytes([one]) for one in HEAD], SLOW_STEP)
    await _on_both([drip] * SLOW_HEADS, target, told, end)


async def _on_both(
    attempts: Iterable[Callable[[int], Awaitable[str]]], target: Target, told: Told, end: float
) -> None:
    """Have all of them try over and over, on one process and the other in turns."""
    ports = cycle(target.ports)
    await asyncio.gather(
        *(over_and_over(partial(attempt, next(ports)), told, end) for attempt in attempts)
    )


async def _drip(told: Told, end: float, pieces: Iterable[bytes], step: float, port: int) -> str:
    """Send the pieces, hold the connection, and return what the server makes of it."""
    reader, writer = await dial(port, ADDRESS)
    said = asyncio.ensure_future(reader.read(4096))
    try:
        async with asyncio.timeout(left(end)):
            for piece in pieces:
                if said.done():
                    break
                writer.write(piece)
                told["bytes"] += len(piece)
                with suppress(ConnectionError):
                    await writer.drain()
                await asyncio.sleep(step)
            return _status(await said)
    except TimeoutError:
        return "left connected"
    except OSError:
        return "hung up on"
    finally:
        said.cancel()
        writer.transport.abort()


def _status(said: bytes) -> str:
    return f"answered {said[9:12].decode()}" if said.startswith(b"HTTP/") else "hung up on"


async def hashing_flood(target: Target, told: Told, end: float) -> None:
    """Have passwords hashed: twelve logins at a time, half of them on the admin's page.

    Each comes from an address of its own, and chooses among many accounts, so that the limits of
    addresses and of accounts do not stop it.
    """
    logins: list[Awaitable[None]] = []
    for number in range(LOGINS):
        browser = Browser(target.ports[number // 2 % 2], _any_address())
        log_in = _log_in_on_page if number % 2 else _log_in_over_api
        logins.append(_again_and_again(partial(log_in, browser, target), told, end))
    await asyncio.gather(*logins)


async def _log_in_over_api(browser: Browser, target: Target) -> str:
    body = orjson.dumps({"email": random.choice(target.emails), "password": WRONG})
    answer = await browser.ask("POST", "/api/v1/auth/login", JSON, body)
    return f"API answered {answer.status}"


async def _log_in_on_page(browser: Browser, target: Target) -> str:
    page = await browser.ask("GET", "/admin/login/")
    found = _CSRF.search(page.head)
    if found is None:
        return f"page without a form ({page.status})"
    token = found[1].decode()
    fields = {"username": random.choice(target.emails), "password": WRONG}
    body = urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
    answer = await browser.ask(
        "POST", "/admin/login/", {**FORM, "Cookie": f"csrftoken={token}"}, body
    )
    return f"page answered {answer.status}"


async def locked_row(target: Target, told: Told, end: float) -> None:
    """Change a post again and again while a transaction holds its row."""

    async def change(browser: Browser) -> str:
        headers = {**JSON, "Authorization": f"Bearer {target.accounts[0].token}"}
        body = orjson.dumps({"title": f"Title {random.random()}"})
        answer = await browser.ask("PATCH", f"/api/v1/posts/{target.post}", headers, body)
        return f"answered {answer.status}"

    updating: list[Awaitable[None]] = [
        _again_and_again(partial(change, Browser(target.ports[number % 2], ADDRESS)), told, end)
        for number in range(UPDATERS)
    ]
    await asyncio.gather(_lock(target, end), *updating)


async def _lock(target: Target, end: float) -> None:
    async with await psycopg.AsyncConnection.connect(target.database_url) as connection:
        await connection.execute("SELECT 1 FROM posts_post WHERE id = %s FOR UPDATE", [target.post])
        await asyncio.sleep(left(end))


async def _again_and_again(ask: Attempt, told: Told, end: float) -> None:
    """Ask again as soon as an answer is there, though not at once after a quick one."""
    while left(end):
        began = time.perf_counter()
        try:
            told[await ask()] += 1
        except (OSError, EOFError) as error:
            told[type(error).__name__] += 1
        await asyncio.sleep(min(left(end), max(0.0, began + BETWEEN - time.perf_counter())))


def _any_address() -> str:
    return f"127.3.{random.randrange(256)}.{random.randrange(1, 255)}"
