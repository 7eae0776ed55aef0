"""The base of every viewset."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from apps.core.addresses import network_of
from apps.core.idempotency import IdempotentMixin
from apps.core.middleware import client_address
from apps.core.ratelimit import spend_action


class ApiViewSet(IdempotentMixin, ViewSet):
    """A viewset whose methods parse, make one call and answer.

    Ids in its routes are UUIDs in their canonical form: anything else is a route that does not
    exist, not an error of the database.
    """

    lookup_value_regex = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    # OPTIONS is for browsers, whose questions the CORS middleware answers before a view is asked.
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    # Which of its methods are rate limited, and by which name of settings.ACTION_LIMITS.
    limits: ClassVar[Mapping[str, str]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count the request of the person, or of the network of a stranger, before it runs."""
        super().initial(request, *args, **kwargs)
        limit = self.limits.get(self.action or "")
        if limit is not None:
            user = request.user
            stranger = network_of(client_address(request))
            spend_action(limit, user.pk if user.is_authenticated else stranger)
