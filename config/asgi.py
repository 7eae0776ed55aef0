"""One process, one port: REST to the WSGI handler a thread hop away, websockets to Channels."""

from config.wsgi import application as wsgi_application  # isort: skip

from channels.routing import ProtocolTypeRouter
from django.conf import settings

from apps.core.bridge import WsgiBridge
from config.lanes import pool_of
from config.limits import limit_connections
from config.websocket import websocket_application

limit_connections(settings.DATABASES["default"])
application = ProtocolTypeRouter(
    {
        "http": WsgiBridge(wsgi_application, pool_of),
        "websocket": websocket_application,
    }
)
