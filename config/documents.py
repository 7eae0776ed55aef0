"""Health, and the descriptions of the interfaces."""

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse

from apps.core.envelope import dumps, timestamp
from apps.core.views import database_answers, redis_state
from apps.realtime.hub import running_hub

OPENAPI = settings.BASE_DIR / "openapi.yaml"


def health(request: HttpRequest) -> HttpResponse:
    """Say how this process is: 200 while it lives, whatever happens to those it depends on."""
    hub = running_hub()
    users, connections = hub.counts() if hub is not None else (0, 0)
    body = {
        "status": "ok",
        "version": settings.APP_VERSION,
        "time": timestamp(),
        "database": "healthy" if database_answers() else "unhealthy",
        "redis": redis_state(),
        "websocket": {"users": users, "connections": connections},
    }
    return HttpResponse(dumps(body), "application/json")


def openapi_yaml(request: HttpRequest) -> FileResponse:
    """Return the committed schema, which a test holds against the code."""
    return FileResponse(OPENAPI.open("rb"), content_type="application/yaml")
