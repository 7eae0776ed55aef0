"""Health, and the answers to requests that no view is there for."""

import sys
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.core.envelope import bare_refusal, dumps, timestamp
from apps.core.errors import BadRequest, Forbidden, NotFound, UnknownHost
from apps.core.handler import unexpected
from apps.core.redis import RedisDown, with_redis


# Who asks for a cookie's token here would hide from a program that its path is wrong.
@csrf_exempt
def unknown_route(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Answer a path that leads nowhere."""
    return bare_refusal(request, NotFound("There is no such route"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself finds wrong with a request, such as an unknown host."""
    if isinstance(exception, DisallowedHost):
        return bare_refusal(request, UnknownHost())
    return bare_refusal(request, BadRequest())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a page's refusal."""
    return bare_refusal(request, Forbidden())


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception outside of the API's views: in a middleware, or in a page."""
    return bare_refusal(request, unexpected(sys.exception()))


def ready(request: HttpRequest) -> HttpResponse:
    """Say whether this process should get traffic: 503 without its database or its tables."""
    database = database_answers()
    migrated = database and not _pending_migrations()
    redis = redis_state()
    body = {
        "status": "ready" if migrated else "not_ready",
        "database": "connected" if database else "disconnected",
        "redis": {"healthy": "connected", "unhealthy": "disconnected"}.get(redis, redis),
        "migrations": "applied" if migrated else "pending",
        "time": timestamp(),
    }
    # Redis only speeds things up: a process that has lost it still serves every request.
    return HttpResponse(dumps(body), "application/json", 200 if migrated else 503)


def database_answers() -> bool:
    """Return whether the database runs a query."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception:  # noqa: BLE001
        return False
    return True


def redis_state() -> str:
    """Return healthy, unhealthy, or embedded where there is no Redis to be either."""
    if not settings.REDIS_URL:
        return "embedded"
    try:
        with_redis("default", lambda client: client.ping())
    except RedisDown:
        return "unhealthy"
    return "healthy"


def _pending_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
