"""GET /metrics, for those networks that METRICS_ADDRESSES names. Others are told what they are told
about any path that there is not."""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

import structlog
from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST

from apps.core.features import features
from apps.core.http.middleware import FORWARDED_FOR, address_in_scope, request_id
from apps.core.http.request_log import log_request
from apps.core.metrics import Labels, StoredGauge, StoredMetric
from apps.realtime.threads import in_thread
from config.health import HEADERS, Application, Receive, Scope, Send, send_answer
from config.health_checks import HealthChecks
from config.metrics_files import SharedMetrics
from config.metrics_text import Numbers

log = structlog.get_logger(__name__)

PATH = "/metrics"
# How long an answer waits for the database, and how long what it said then is repeated.
STORED_SECONDS = 1.0
KEPT_SECONDS = 10.0

Stored = Mapping[StoredMetric, Mapping[Labels, Any]]


class MetricsEndpoint:
    """An ASGI application that answers /metrics and passes other requests to another one."""

    def __init__(self, rest: Application, shared: SharedMetrics, checks: HealthChecks) -> None:
        self._rest = rest
        self._shared = shared
        self._stored = StoredNumbers(
            [one for each in features().values() for one in each.stored_metrics]
        )
        self._checks = checks
        # Of its own: those of the database may hang, and this is asked most when something does.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="metrics")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        read = scope["path"] == PATH and scope["method"] in {"GET", "HEAD"}
        if not (read and may_read(scope, settings.METRICS_ADDRESSES)):
            await self._rest(scope, receive, send)
            return
        began = time.monotonic()
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        headers = {
            **HEADERS,
            "Content-Type": CONTENT_TYPE_LATEST,
            "Cache-Control": "no-store",
            "X-Request-ID": request_id(given),
        }
        body = await self._text()
        await send_answer(send, 200, headers, body, with_body=scope["method"] != "HEAD")
        log_request(
            method=scope["method"],
            route=PATH,
            status=200,
            ms=(time.monotonic() - began) * 1000,
            request_id=headers["X-Request-ID"],
            address=address_in_scope(scope),
            level=logging.DEBUG,
        )

    async def _text(self) -> bytes:
        stored = {**await self._stored.read(), **self._own()}

        def text() -> bytes:
            return Numbers(self._shared.counted(), stored).text()

        # A thousand lines take longer to write than the other clients should wait.
        return await asyncio.get_running_loop().run_in_executor(self._thread, text)

    def _own(self) -> Stored:
        answers = {"database": self._checks.database, "redis": self._checks.redis}
        return {
            _BUILD: {(settings.APP_VERSION,): 1},
            _ANSWERS: {
                (name,): float(status == "healthy")
                for name, status in answers.items()
                if status != "embedded"
            },
        }


_BUILD = StoredGauge("parley_build_info", "The version of the server.", ("version",), dict)
_ANSWERS = StoredGauge(
    "parley_dependency_up",
    "Whether the database and Redis answer the process that was asked.",
    ("dependency",),
    dict,
)


class StoredNumbers:
    """What the database has for the metrics. An answer goes without while the database hangs."""

    def __init__(self, metrics: Sequence[StoredMetric]) -> None:
        self._metrics = metrics
        self._reading: asyncio.Task[Stored] | None = None
        self._read_at = 0.0

    async def read(self) -> Stored:
        """Return the numbers as they were KEPT_SECONDS ago or later, or nothing."""
        if self._reading is None or (
            self._reading.done() and time.monotonic() - self._read_at > KEPT_SECONDS
        ):
            # One at a time, so that a database that hangs holds one thread.
            self._read_at = time.monotonic()
            self._reading = asyncio.create_task(in_thread(self._read))
        # Another request may begin a new read while this one waits.
        reading = self._reading
        await asyncio.wait([reading], timeout=STORED_SECONDS)
        if not reading.done():
            return {}
        if error := reading.exception():
            if self._reading is reading:
                log.warning("metrics without those of the database", error=type(error).__name__)
                self._reading = None
            return {}
        return reading.result()

    def _read(self) -> Stored:
        return {metric: metric.read() for metric in self._metrics}


def may_read(scope: Scope, networks: Collection[IPv4Network | IPv6Network]) -> bool:
    """Return whether the client of a request is in one of the networks.

    A header may say what it likes where no proxy is trusted, and the peer is then a proxy that
    nobody told us of. That a proxy was called from its own machine is not believed either: a client
    that reaches the server past its proxies could write that.
    """
    try:
        address = ip_address(address_in_scope(scope))
    except ValueError:
        return False
    forwarded = any(name in {FORWARDED_FOR, b"forwarded"} for name, _ in scope["headers"])
    if forwarded and (address.is_loopback or not settings.SERVER_TRUSTED_PROXIES):
        return False
    return any(address in network for network in networks)
