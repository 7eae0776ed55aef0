"""The base of every viewset."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from apps.core.addresses import network_of
from apps.core.http.idempotency import IdempotentMixin
from apps.core.http.middleware import client_address
from apps.core.ratelimit import spend_action


class ApiViewSet(IdempotentMixin, ViewSet):
    """A viewset whose methods parse, make one call and answer.

    Ids in its routes are UUIDs in their canonical form: anything else is a route that does not
    exist, not an error of the database.
    """

    lookup_value_regex = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    http_method_names = ["get", "head", "post", "put", "patch", "delete", "options"]
    # Which of its methods are rate limited, and by which name of settings.ACTION_LIMITS.
    limits: ClassVar[Mapping[str, str]] = {}
    # Which of its methods answer with what no cache may keep, such as a token (RFC 6749, 5.1).
    secret: ClassVar[Collection[str]] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count the request of the person, or of the network of a stranger, before it runs."""
        if request.method == "OPTIONS":
            # Which methods a route has is no secret, and who asks need not say who they are.
            return
        super().initial(request, *args, **kwargs)
        limit = self.limits.get(self.action or "")
        if limit is not None:
            user = request.user
            stranger = network_of(client_address(request))
            spend_action(limit, user.pk if user.is_authenticated else stranger)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """Return nothing but the header Allow, which every answer has. What a browser asks before
        it sends a page's request, the CORS middleware has answered already."""
        return Response(status=204)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Return the response, not to be kept anywhere if it is secret."""
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        if self.action in self.secret:
            final["Cache-Control"] = "no-store"
        return final
