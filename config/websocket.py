"""The route of the websocket."""

from typing import Any

from channels.routing import URLRouter
from django.urls import re_path

from apps.realtime.consumer import SocketConsumer
from apps.realtime.hub import hub
from apps.realtime.registry import socket_authenticator

_socket: Any = SocketConsumer.as_asgi(authenticator=socket_authenticator())


async def open_hub() -> None:
    """Open the hub before the first request, which may publish an event: without a hub the request
    itself would wait for Redis."""
    hub(socket_authenticator())


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the upgrade on any other path."""
    await send({"type": "websocket.close"})


websocket_application = URLRouter(
    [re_path(r"^ws(?:/connect)?/?$", _socket), re_path(r"", _refuse)]  # type: ignore[list-item,arg-type]
)
