"""The Channels consumer: one websocket from its upgrade to its end."""

from typing import Any

from channels.consumer import AsyncConsumer

from apps.core.ids import uuid7
from apps.realtime.dispatch import Dispatcher
from apps.realtime.handshake import admit
from apps.realtime.hub import hub
from apps.realtime.registry import SocketAuthenticator
from apps.realtime.wire import Wire


class SocketConsumer(AsyncConsumer):
    """Serves one client; what it is told comes from the hub."""

    def __init__(self, authenticator: SocketAuthenticator) -> None:
        self._authenticator = authenticator

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the socket until it is closed.

        Channels' own version keeps a task more per socket, and makes a thread hop per message for
        database connections that no consumer here uses on the loop.
        """
        wire = Wire(scope, send, str(uuid7()))
        await receive()
        socket = await admit(scope, wire, self._authenticator, hub(self._authenticator))
        if socket is None:
            return
        dispatcher = Dispatcher(socket)
        try:
            while (message := await receive())["type"] == "websocket.receive":
                await dispatcher.dispatch(message.get("text"))
        finally:
            await socket.leave()
