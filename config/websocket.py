"""The route of the websocket."""

import time
from typing import Any

from channels.routing import URLRouter
from django.urls import re_path

from apps.core.http.middleware import address_in_scope, request_id
from apps.core.http.request_log import log_request
from apps.realtime.consumer import SocketConsumer
from apps.realtime.hub import hub
from apps.realtime.registry import socket_authenticator

_socket: Any = SocketConsumer.as_asgi(authenticator=socket_authenticator())


async def open_hub() -> None:
    """Open the hub before the first request, which may publish an event: without a hub the request
    itself would wait for Redis."""
    hub(socket_authenticator())


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the upgrade on any other path, and log it as the request that it is."""
    arrived = time.monotonic()
    await send({"type": "websocket.close"})
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    log_request(
        method="GET",
        route=None,
        path=scope["path"],
        status=403,
        ms=(time.monotonic() - arrived) * 1000,
        request_id=request_id(given),
        address=address_in_scope(scope),
    )


websocket_application = URLRouter(
    [re_path(r"^ws(?:/connect)?/?$", _socket), re_path(r"", _refuse)]  # type: ignore[list-item,arg-type]
)
