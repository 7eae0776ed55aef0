"""One process, one port: REST goes to the WSGI handler a thread hop away, websockets to Channels."""

from config.wsgi import application as wsgi_application  # isort: skip  (it sets Django up)

from channels.routing import ProtocolTypeRouter
from django.conf import settings

from apps.core.bridge import WsgiBridge
from config.websocket import websocket_application

application = ProtocolTypeRouter(
    {
        "http": WsgiBridge(wsgi_application, threads=settings.HTTP_THREADS),
        "websocket": websocket_application,
    }
)
