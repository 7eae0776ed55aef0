"""Which type an answer has: JSON, which is all there is."""

from functools import lru_cache
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

# Of how many Accept headers the result is remembered. Clients choose them.
REMEMBERED = 2048


@lru_cache(REMEMBERED)
def surely_accepts_json(accept: str) -> bool:
    """Return whether a client with this Accept header takes JSON, as nearly all do. False says
    that only REST framework knows."""
    return not {"*/*", "application/json"}.isdisjoint(accept.split(","))


class JSONNegotiation(DefaultContentNegotiation):
    """REST framework's negotiation, which parses the header only where it must."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer and its media type; raise NotAcceptable."""
        if format_suffix is None and surely_accepts_json(request.META.get("HTTP_ACCEPT", "*/*")):
            return renderers[0], renderers[0].media_type
        return super().select_renderer(request, renderers, format_suffix)  # type: ignore[no-any-return]
