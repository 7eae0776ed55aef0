"""The base of every viewset."""

from typing import Any

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from apps.core.addresses import network_of
from apps.core.http.endpoints import Access, Endpoint
from apps.core.http.idempotency import IdempotentMixin
from apps.core.http.middleware import client_address
from apps.core.ratelimit import consume_action


class ApiViewSet(IdempotentMixin, ViewSet):
    """A viewset whose methods are endpoints.

    Ids in its routes are UUIDs in their canonical form. Any other id is an unknown route, and never
    reaches the database.
    """

    lookup_value_regex = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    http_method_names = ["get", "head", "post", "put", "patch", "delete", "options"]

    # The declaration of the requested method, None if the route does not have it.
    endpoint: Endpoint | None = None

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """Find the declaration first, since it decides whether the request is authenticated."""
        action = self.action_map.get(str(request.method).lower())
        self.endpoint = self._declared(action) if action else None
        return super().initialize_request(request, *args, **kwargs)

    @property
    def access(self) -> Access:
        """Who may call. A method that the route lacks needs the strictest access of its methods."""
        if self.endpoint is not None:
            return self.endpoint.access
        return max(self._declared(action).access for action in self.action_map.values())

    def _declared(self, action: str) -> Endpoint:
        declared: Endpoint = getattr(self, action).endpoint
        return declared

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return none for Access.CREDENTIALS: such a request may carry an expired token."""
        return [] if self.access is Access.CREDENTIALS else super().get_authenticators()

    def get_permissions(self) -> list[BasePermission]:
        """Return the permission that the declaration requires."""
        return [IsAuthenticated() if self.access is Access.USERS else AllowAny()]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Consume the limit of the user, or of the network of an anonymous user."""
        if request.method == "OPTIONS":
            # The methods of a route are no secret, so OPTIONS needs no authentication.
            return
        super().initial(request, *args, **kwargs)
        if self.endpoint is not None and self.endpoint.limit is not None:
            user = request.user
            network = network_of(client_address(request))
            consume_action(self.endpoint.limit, user.pk if user.is_authenticated else network)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """Return an empty answer: every answer has the header Allow. The CORS middleware has
        answered the preflight requests of browsers already."""
        return Response(status=204)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Return the response; a secret one may not be stored by any cache."""
        final: Response = super().finalize_response(request, response, *args, **kwargs)
        if self.endpoint is not None and self.endpoint.secret:
            final["Cache-Control"] = "no-store"
        return final
