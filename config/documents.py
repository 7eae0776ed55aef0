"""The descriptions of the interfaces."""

from django.conf import settings
from django.http import FileResponse, HttpRequest

OPENAPI = settings.BASE_DIR / "openapi.yaml"
ASYNCAPI = settings.BASE_DIR / "asyncapi.yaml"


def openapi_yaml(request: HttpRequest) -> FileResponse:
    """Return the committed schema, which a test holds against the code."""
    return FileResponse(OPENAPI.open("rb"), content_type="application/yaml")


def asyncapi_yaml(request: HttpRequest) -> FileResponse:
    """Return the committed description of the websocket, held against the code likewise."""
    return FileResponse(ASYNCAPI.open("rb"), content_type="application/yaml")
