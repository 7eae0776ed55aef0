"""An application on the server's own protocols, and raw connections to it."""

import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import uvicorn

from apps.realtime.transport import UVICORN
from testing.server import until

Application = Callable[[Any, Any, Any], Awaitable[None]]
Connect = Callable[[], socket.socket]
Serve = Callable[[Application], Connect]


@contextmanager
def serving() -> Iterator[Serve]:
    """Yield a function that serves an application on the server's protocols, and returns a function
    that connects to it."""
    with ExitStack() as ending:

        def start(application: Application) -> Connect:
            options = UVICORN | {"lifespan": "off", "timeout_graceful_shutdown": 1}
            server = uvicorn.Server(uvicorn.Config(application, port=0, **options))
            thread = threading.Thread(target=server.run)
            thread.start()
            ending.callback(thread.join)
            ending.callback(setattr, server, "should_exit", True)
            until(lambda: server.started)
            address = server.servers[0].sockets[0].getsockname()

            def connect() -> socket.socket:
                return ending.enter_context(socket.create_connection(address, timeout=20))

            return connect

        yield start


def send(connection: socket.socket, data: bytes) -> None:
    """Send the data while the server reads."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(data)


def received(connection: socket.socket) -> bytes:
    """Return all that the server sends until it closes the connection."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)
