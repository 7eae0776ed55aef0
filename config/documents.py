"""The documents that describe the API and the websocket."""

from django.conf import settings
from django.http import FileResponse, HttpRequest

OPENAPI = settings.BASE_DIR / "openapi.yaml"
ASYNCAPI = settings.BASE_DIR / "asyncapi.yaml"


def openapi_yaml(request: HttpRequest) -> FileResponse:
    """Return the committed OpenAPI document, which `make check` compares with the code."""
    return FileResponse(OPENAPI.open("rb"), content_type="application/yaml")


def asyncapi_yaml(request: HttpRequest) -> FileResponse:
    """Return the committed AsyncAPI document, which `make check` compares with the code."""
    return FileResponse(ASYNCAPI.open("rb"), content_type="application/yaml")
