"""How a server stops: it says so first, and its websockets end one after the other.

From the signal on /ready says no and no websocket is opened. Open ones are told 1012, at a rate at
which the other servers can admit those who come back; meanwhile requests are served. Then uvicorn
accepts no more connections, and requests in flight have what is left of SERVER_SHUTDOWN_TIMEOUT.
"""

import asyncio
import random
import socket

import uvicorn
from django.conf import settings

from apps.core.stopping import begin_stopping
from apps.realtime.transport import SocketProtocol

# Two processes admit about so many, with what else they do (bench/results/connects.md).
SOCKETS_A_SECOND = 500
# No more than this part of the time goes to the sockets.
PART_OF_TIMEOUT = 0.5


class DrainingServer(uvicorn.Server):
    """uvicorn's server, with an orderly end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving; a second signal leaves out what is left to wait for."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        begin_stopping()
        await self._end_websockets()
        # uvicorn takes any number of seconds, though it declares whole ones.
        left: float = settings.SERVER_SHUTDOWN_TIMEOUT - (loop.time() - began)
        self.config.timeout_graceful_shutdown = left  # type: ignore[assignment]
        await super().shutdown(sockets)

    async def _end_websockets(self) -> None:
        loop = asyncio.get_running_loop()
        websockets = [
            one for one in self.server_state.connections if isinstance(one, SocketProtocol)
        ]
        random.shuffle(websockets)
        longest = PART_OF_TIMEOUT * settings.SERVER_SHUTDOWN_TIMEOUT
        every = min(1 / SOCKETS_A_SECOND, longest / max(len(websockets), 1))
        began = loop.time()
        for number, websocket in enumerate(websockets):
            # The loop may be late, and then several are due.
            if (wait := began + number * every - loop.time()) > 0 and not self.force_exit:
                await asyncio.sleep(wait)
            websocket.shutdown()
