"""/health and /ready, answered before the bridge. Neither waits for a thread of a pool or for what
hangs, so that a process can report that its database or Redis hangs."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

from apps.core.errors import MethodNotAllowed
from apps.core.http.envelope import dumps, timestamp
from apps.core.http.middleware import address_in_scope, request_id
from apps.core.http.request_log import log_request
from apps.core.stopping import is_stopping
from apps.realtime.hub import running_hub
from config.health_checks import HealthChecks
from config.readiness import Readiness

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Django's middleware, which sets these headers, does not run for the two responses.
HEADERS = {
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": settings.X_FRAME_OPTIONS,
    "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
    "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
}


class HealthEndpoints:
    """An ASGI application that answers the two and passes other requests to another application."""

    def __init__(self, rest: Application, checks: HealthChecks, readiness: Readiness) -> None:
        self._rest = rest
        self._checks = checks
        self._readiness = readiness
        self._endpoints = {"/health": self._health, "/ready": self._ready}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        endpoint = self._endpoints.get(scope["path"])
        if endpoint is None:
            await self._rest(scope, receive, send)
            return
        began = time.monotonic()
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        headers = {**HEADERS, "X-Request-ID": request_id(given)}
        if scope["method"] in {"GET", "HEAD"}:
            # The lifespan has started the checks already, but the server of `make dev` has none.
            await self._checks.start()
            status, body = await endpoint()
        else:
            status, body = _refused(scope, headers)
        await send_answer(send, status, headers, dumps(body), with_body=scope["method"] != "HEAD")
        log_request(
            method=scope["method"],
            route=scope["path"],
            status=status,
            ms=(time.monotonic() - began) * 1000,
            request_id=headers["X-Request-ID"],
            address=address_in_scope(scope),
            level=logging.DEBUG,
        )

    async def _health(self) -> tuple[int, dict[str, Any]]:
        """Return 200 while the process lives, and the state of its dependencies."""
        hub = running_hub()
        users, connections = hub.counts() if hub is not None else (0, 0)
        return 200, {
            "status": "ok",
            "version": settings.APP_VERSION,
            "time": timestamp(),
            "database": self._checks.database,
            "redis": self._checks.redis,
            "websocket": {"users": users, "connections": connections},
        }

    async def _ready(self) -> tuple[int, dict[str, Any]]:
        """Return 200 if the process should get traffic, else 503."""
        database = await self._readiness.database()
        redis = {"healthy": "connected", "unhealthy": "disconnected"}
        # A process without Redis still serves every request.
        ready = database.migrated and not is_stopping()
        return 200 if ready else 503, {
            "status": "ready" if ready else "not_ready",
            "database": "connected" if database.answers else "disconnected",
            "redis": redis.get(self._checks.redis, self._checks.redis),
            "migrations": "applied" if database.migrated else "pending",
            "time": timestamp(),
        }


def _refused(scope: Scope, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    error = MethodNotAllowed()
    headers["Allow"] = "GET, HEAD"
    meta = {
        "requestId": headers["X-Request-ID"],
        "timestamp": timestamp(),
        "path": scope["path"],
        "method": scope["method"],
        "version": settings.APP_VERSION,
        "durationMs": 0.0,
    }
    return error.status, {"success": False, **error.as_dict(), "meta": meta}


async def send_answer(
    send: Send, status: int, headers: dict[str, str], body: bytes, *, with_body: bool
) -> None:
    """Send a whole answer, for HEAD without its body."""
    headers["Content-Length"] = str(len(body))
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body if with_body else b""})
