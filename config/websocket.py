"""The one websocket route, with who may come in by it."""

from channels.routing import URLRouter
from django.urls import re_path

from apps.accounts.gate import AccountsGate
from apps.realtime.consumer import SocketConsumer

websocket_application = URLRouter(
    [re_path(r"^ws(?:/connect)?/?$", SocketConsumer.as_asgi(gate=AccountsGate()))]
)
