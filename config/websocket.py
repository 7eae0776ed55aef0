"""The one websocket route, with who may come in by it."""

from typing import Any

from channels.routing import URLRouter
from django.urls import re_path

from apps.accounts.socket_authentication import AccountsSocketAuthenticator
from apps.realtime.consumer import SocketConsumer
from apps.realtime.hub import hub

_authenticator = AccountsSocketAuthenticator()
_socket: Any = SocketConsumer.as_asgi(authenticator=_authenticator)


async def open_hub() -> None:
    """Have the hub there before the first request, which may have something to tell: without one
    it would wait for Redis itself."""
    hub(_authenticator)


async def _nowhere(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the upgrade on any other path."""
    await send({"type": "websocket.close"})


websocket_application = URLRouter(
    [re_path(r"^ws(?:/connect)?/?$", _socket), re_path(r"", _nowhere)]  # type: ignore[list-item,arg-type]
)
