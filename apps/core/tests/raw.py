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


class Serve:
    """Serves applications on the server's protocols, in threads."""

    def __init__(self, ending: ExitStack) -> None:
        self._ending = ending
        self._servers: list[uvicorn.Server] = []

    def __call__(self, application: Application) -> Connect:
        """Serve an application; return a function that connects to it."""
        options = UVICORN | {"lifespan": "off", "timeout_graceful_shutdown": 1}
        server = uvicorn.Server(uvicorn.Config(application, port=0, **options))
        self._servers.append(server)
        thread = threading.Thread(target=server.run)
        thread.start()
        self._ending.callback(thread.join)
        self._ending.callback(self.stop)
        until(lambda: server.started)
        address = server.servers[0].sockets[0].getsockname()

        def connect() -> socket.socket:
            return self._ending.enter_context(socket.create_connection(address, timeout=20))

        return connect

    def stop(self) -> None:
        """Tell all servers to stop."""
        for server in self._servers:
            server.should_exit = True


@contextmanager
def serving() -> Iterator[Serve]:
    """Yield what serves applications until the end of the block."""
    with ExitStack() as ending:
        yield Serve(ending)


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
