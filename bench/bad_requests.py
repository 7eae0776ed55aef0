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
from bench.target import ADDRESS, Tally, Target, left, repeat_until

HEAD = b"GET /api/v1/posts HTTP/1.1\r\nHost: 127.0.0.1\r\n"
# The seconds between two pieces of a bomb, and how many pieces make a whole one: 8 MB.
BOMB_STEP, BOMB_PIECES = 0.01, 512
FILLER = b"X-Filler: " + b"x" * 16_000 + b"\r\n"
HEADER_BOMBS, URL_BOMBS = 12, 4
SLOW_HEADS, SLOW_STEP = 200, 1.0
LOGINS = 12
WRONG = "not the password"
UPDATERS = 12
# The least seconds between two requests of one client, so that refusals do not become a flood.
BETWEEN = 0.1

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_CSRF = re.compile(rb"csrftoken=(\w+)")
Attempt = Callable[[], Awaitable[str]]


async def header_bomb(target: Target, tally: Tally, end: float) -> None:
    """Send endless heads: some of ever more headers, some of one endless address."""
    headers = partial(_drip, tally, end, [HEAD, *repeat(FILLER, BOMB_PIECES)], BOMB_STEP)
    address = partial(_drip, tally, end, [b"GET /", *repeat(b"x" * 16_384, BOMB_PIECES)], BOMB_STEP)
    await _on_both(
        [*repeat(headers, HEADER_BOMBS), *repeat(address, URL_BOMBS)], target, tally, end
    )


async def slow_heads(target: Target, tally: Tally, end: float) -> None:
    """Send endless heads, a byte at a time."""
    drip = partial(_drip, tally, end, [bytes([one]) for one in HEAD], SLOW_STEP)
    await _on_both([drip] * SLOW_HEADS, target, tally, end)


async def _on_both(
    attempts: Iterable[Callable[[int], Awaitable[str]]], target: Target, tally: Tally, end: float
) -> None:
    """Run all attempts again and again, on the two processes in turn."""
    ports = cycle(target.ports)
    await asyncio.gather(
        *(repeat_until(partial(attempt, next(ports)), tally, end) for attempt in attempts)
    )


async def _drip(tally: Tally, end: float, pieces: Iterable[bytes], step: float, port: int) -> str:
    """Send the pieces, hold the connection open, and return how the server ends it."""
    reader, writer = await dial(port, ADDRESS)
    response = asyncio.ensure_future(reader.read(4096))
    try:
        async with asyncio.timeout(left(end)):
            for piece in pieces:
                if response.done():
                    break
                writer.write(piece)
                tally["bytes"] += len(piece)
                with suppress(ConnectionError):
                    await writer.drain()
                await asyncio.sleep(step)
            return _status(await response)
    except TimeoutError:
        return "left connected"
    except OSError:
        return "hung up on"
    finally:
        response.cancel()
        writer.transport.abort()


def _status(response: bytes) -> str:
    if response.startswith(b"HTTP/"):
        return f"answered {response[9:12].decode()}"
    return "hung up on"


async def hashing_flood(target: Target, tally: Tally, end: float) -> None:
    """Log in with wrong passwords, twelve times at once, half of them on the admin's page.

    Each login comes from another address and chooses one of many accounts, so that the limits of
    addresses and of accounts do not stop the flood of hashes.
    """
    logins: list[Awaitable[None]] = []
    for number in range(LOGINS):
        browser = Browser(target.ports[number // 2 % 2], _any_address())
        log_in = _log_in_on_page if number % 2 else _log_in_over_api
        logins.append(_repeat(partial(log_in, browser, target), tally, end))
    await asyncio.gather(*logins)


async def _log_in_over_api(browser: Browser, target: Target) -> str:
    body = orjson.dumps({"email": random.choice(target.emails), "password": WRONG})
    response = await browser.request("POST", "/api/v1/auth/login", JSON, body)
    return f"API answered {response.status}"


async def _log_in_on_page(browser: Browser, target: Target) -> str:
    page = await browser.request("GET", "/admin/login/")
    found = _CSRF.search(page.head)
    if found is None:
        return f"page without a form ({page.status})"
    token = found[1].decode()
    fields = {"username": random.choice(target.emails), "password": WRONG}
    body = urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
    response = await browser.request(
        "POST", "/admin/login/", {**FORM, "Cookie": f"csrftoken={token}"}, body
    )
    return f"page answered {response.status}"


async def locked_row(target: Target, tally: Tally, end: float) -> None:
    """Change a post again and again while a transaction holds its row."""

    async def change(browser: Browser) -> str:
        headers = {**JSON, "Authorization": f"Bearer {target.accounts[0].token}"}
        body = orjson.dumps({"title": f"Title {random.random()}"})
        response = await browser.request("PATCH", f"/api/v1/posts/{target.post}", headers, body)
        return f"answered {response.status}"

    updating: list[Awaitable[None]] = [
        _repeat(partial(change, Browser(target.ports[number % 2], ADDRESS)), tally, end)
        for number in range(UPDATERS)
    ]
    await asyncio.gather(_lock(target, end), *updating)


async def _lock(target: Target, end: float) -> None:
    async with await psycopg.AsyncConnection.connect(target.database_url) as connection:
        await connection.execute("SELECT 1 FROM posts_post WHERE id = %s FOR UPDATE", [target.post])
        await asyncio.sleep(left(end))


async def _repeat(attempt: Attempt, tally: Tally, end: float) -> None:
    """Repeat the attempt as soon as it has ended, but no more often than once in BETWEEN."""
    while left(end):
        began = time.perf_counter()
        try:
            tally[await attempt()] += 1
        except (OSError, EOFError) as error:
            tally[type(error).__name__] += 1
        await asyncio.sleep(min(left(end), max(0.0, began + BETWEEN - time.perf_counter())))


def _any_address() -> str:
    return f"127.3.{random.randrange(256)}.{random.randrange(1, 255)}"
