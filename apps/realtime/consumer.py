"""The Channels consumer: one websocket from its upgrade to its end."""

from collections.abc import Mapping
from typing import Any

from channels.consumer import AsyncConsumer

from apps.core.ids import uuid7
from apps.realtime.dispatch import Dispatcher
from apps.realtime.handshake import perform_handshake
from apps.realtime.hub import hub
from apps.realtime.registry import SocketAuthenticator
from apps.realtime.wire import Wire


class SocketConsumer(AsyncConsumer):
    """Serves one client. The hub pushes frames to its socket."""

    def __init__(self, authenticator: SocketAuthenticator) -> None:
        self._authenticator = authenticator

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the socket until it is closed.

        Channels' own version keeps one more task per socket, and for each message changes to a
        thread to close database connections, which no consumer here opens on the loop.
        """
        wire = Wire(scope, send, str(uuid7()))
        await receive()
        socket = await perform_handshake(scope, wire, hub(self._authenticator))
        if socket is None:
            return
        dispatcher = Dispatcher(socket)
        message: Mapping[str, Any] = {}
        try:
            while (message := await receive())["type"] == "websocket.receive":
                await dispatcher.dispatch(message.get("text"))
        finally:
            await socket.leave(message.get("code"))
