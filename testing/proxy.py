"""A proxy between a process and its server that can stop forwarding, as a network may."""

import socket
import threading
from contextlib import suppress

CHUNK = 65536


class Proxy:
    """Forwards connections to a port of 127.0.0.1, as a context manager.

    After `fall_silent()` the open connections forward nothing more in either direction, without an
    error on either side; new connections work.
    """

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._generation = 0
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def fall_silent(self) -> None:
        """Stop forwarding on the connections that are open now."""
        self._generation += 1

    def die(self) -> None:
        """Close everything, as a server does that is killed."""
        for one in (self._listener, *self._sockets):
            # Another thread may be blocked in the socket, which a plain close() would not end.
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._to_port))
            except OSError:
                client.close()
                continue
            self._sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                forward = (source, sink, self._generation)
                threading.Thread(target=self._forward, args=forward, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, generation: int) -> None:
        try:
            while data := source.recv(CHUNK):
                if generation == self._generation:
                    sink.sendall(data)
            if generation == self._generation:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
