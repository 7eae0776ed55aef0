"""One process, one port: health from what is known, REST to the WSGI handler a thread hop away,
websockets to Channels."""

from config.wsgi import application as wsgi_application  # isort: skip

from channels.routing import ProtocolTypeRouter
from django.conf import settings

from apps.core.features import features
from apps.core.http.bridge import WsgiBridge
from apps.core.http.middleware import admit
from config.health import HealthFront
from config.lanes import pool_of
from config.lifespan import Lifespan, settle_memory
from config.limits import limit_connections
from config.readiness import Readiness, look_at_database
from config.vitals import vitals_of_this_process
from config.websocket import open_hub, websocket_application

limit_connections(settings.DATABASES["default"])

vitals = vitals_of_this_process()
steps_of_features = [step for feature in features().values() for step in feature.at_start]
# What a server does before its first request, in this order.
lifespan = Lifespan([vitals.begin, open_hub, *steps_of_features, settle_memory])

application = ProtocolTypeRouter(
    {
        "http": HealthFront(
            WsgiBridge(wsgi_application, pool_of, admit), vitals, Readiness(look_at_database)
        ),
        "websocket": websocket_application,
        "lifespan": lifespan,
    }
)
