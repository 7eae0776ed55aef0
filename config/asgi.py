"""One process, one port: /health, /ready and /metrics are answered here, requests that wait for
events wait here, REST goes to the WSGI handler in a thread of a pool, websockets go to Channels."""

from config.wsgi import application as wsgi_application  # isort: skip

import os

from channels.routing import ProtocolTypeRouter
from django.conf import settings

from apps.core.features import features
from apps.core.http.bridge import WsgiBridge
from apps.core.http.middleware import check_address_limit
from apps.realtime.polling import EventPolls
from apps.realtime.registry import socket_authenticator
from config.grouped_writes import start_grouped_writes
from config.health import HealthEndpoints
from config.health_checks import health_checks
from config.hot_reads import start_hot_reads
from config.lifespan import Lifespan, settle_memory
from config.limits import limit_connections
from config.metrics import MetricsEndpoint
from config.metrics_files import DIRECTORY, SharedMetrics
from config.readiness import Readiness, database_state
from config.thread_pools import pool_of
from config.websocket import open_hub, websocket_application

limit_connections(settings.DATABASES["default"])

checks = health_checks()
metrics = SharedMetrics(os.environ.get(DIRECTORY, ""))
steps_of_features = [step for feature in features().values() for step in feature.at_start]
# What a server does before its first request, in this order.
lifespan = Lifespan(
    [
        checks.start,
        metrics.start,
        open_hub,
        start_hot_reads,
        start_grouped_writes,
        *steps_of_features,
        settle_memory,
    ]
)

application = ProtocolTypeRouter(
    {
        "http": MetricsEndpoint(
            HealthEndpoints(
                EventPolls(
                    WsgiBridge(wsgi_application, pool_of, check_address_limit),
                    socket_authenticator(),
                ),
                checks,
                Readiness(database_state),
            ),
            metrics,
            checks,
        ),
        "websocket": websocket_application,
        "lifespan": lifespan,
    }
)
