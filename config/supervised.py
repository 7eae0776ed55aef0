"""What a process does for the supervisor that started it: it shows that it lives, ends with the
supervisor, and accepts the connections that a sibling leaves waiting
(docs/decisions/0033-processes.md)."""

import asyncio
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import uvicorn

# What a process sends to its supervisor as a sign of life, and how often, in seconds.
BEAT = b"\0"
BEAT_SECONDS = 1.0
# A connection that has waited at a sibling's listener for this long, and at most for twice as long,
# is accepted here.
HELP_SECONDS = 0.1


@dataclass(frozen=True)
class Inherited:
    """The sockets that a process has from its supervisor: the one to the supervisor, the listener
    that it serves on, and those of its siblings."""

    link: socket.socket
    listener: socket.socket
    others: Sequence[socket.socket]

    @classmethod
    def from_text(cls, text: str) -> "Inherited":
        """Return the sockets with these file descriptors, such as 7,8,9."""
        link, listener, *others = (socket.socket(fileno=int(number)) for number in text.split(","))
        for each in (listener, *others):
            each.setblocking(False)
        return cls(link, listener, others)


def end_with_supervisor(link: socket.socket, stop: Callable[[], None], seconds: float) -> None:
    """Call `stop` when the supervisor has ended, even by SIGKILL, and end this process if it still
    runs so many seconds later."""

    def watch() -> None:
        # The supervisor sends nothing. The kernel closes its end when it ends, and resets the
        # connection if the supervisor has not read all beats.
        with suppress(ConnectionResetError):
            link.recv(1)
        stop()
        time.sleep(seconds)
        os._exit(1)

    threading.Thread(target=watch, name="supervisor", daemon=True).start()


async def serve_supervised(server: uvicorn.Server, inherited: Inherited) -> None:
    """Serve on the inherited listener until told to stop."""
    helpers = [
        asyncio.create_task(_beat(server, inherited.link)),
        asyncio.create_task(_help(server, inherited.others)),
    ]
    await server.serve(sockets=[inherited.listener])
    for helper in helpers:
        helper.cancel()


async def _beat(server: uvicorn.Server, link: socket.socket) -> None:
    """Show the supervisor, from now on when the server serves, that the event loop runs."""
    while True:
        if server.started:
            # If the supervisor hangs or is gone, nothing waits for it here.
            with suppress(OSError):
                link.send(BEAT, socket.MSG_DONTWAIT)
        await asyncio.sleep(BEAT_SECONDS)


async def _help(server: uvicorn.Server, listeners: Sequence[socket.socket]) -> None:
    """Accept what waits at the listeners of siblings that are busy, hang or are being replaced."""
    waited: list[socket.socket] = []
    while not server.should_exit:
        await asyncio.sleep(HELP_SECONDS)
        waiting = _with_waiting_connections(listeners) if server.started else []
        for listener in waiting:
            # A sibling that lives takes a new connection at once.
            if listener in waited:
                await _accept_all(server, listener)
        waited = waiting
    # As long as one process has them open, new clients wait there instead of being refused.
    for listener in listeners:
        listener.close()


def _with_waiting_connections(listeners: Sequence[socket.socket]) -> list[socket.socket]:
    return select.select(listeners, [], [], 0)[0]


async def _accept_all(server: uvicorn.Server, listener: socket.socket) -> None:
    def protocol() -> asyncio.Protocol:
        made: Any = server.config.http_protocol_class
        accepted: asyncio.Protocol = made(
            config=server.config,
            server_state=server.server_state,
            app_state=server.lifespan.state,
        )
        return accepted

    loop = asyncio.get_running_loop()
    # An OSError: no connection waits any more, or the client of one is gone.
    with suppress(OSError):
        while not server.should_exit:
            connection, _ = listener.accept()
            connection.setblocking(False)
            await loop.connect_accepted_socket(protocol, connection)
