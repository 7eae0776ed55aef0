"""Polls over HTTP."""

from typing import Any
from uuid import UUID

from rest_framework.decorators import action

from apps.accounts.requests import UserRequest
from apps.core.http.endpoints import Endpoint
from apps.core.http.viewsets import ApiViewSet
from polls import services
from polls.models import Poll
from polls.serializers import PollInput, PollOutput


class PollViewSet(ApiViewSet):
    """Polls: every user opens them and votes in those of others."""

    @Endpoint(
        message="Poll opened successfully",
        status=201,
        input=PollInput,
        output=PollOutput,
        limit="open_poll",
    )
    def create(self, request: UserRequest, **data: Any) -> Poll:
        """Open a poll."""
        return services.poll_open(request.user, **data)

    @action(detail=True, methods=["post"])
    @Endpoint(message="Vote counted successfully", output=PollOutput)
    def vote(self, request: UserRequest, pk: UUID) -> Poll:
        """Vote in a poll."""
        return services.poll_vote(request.user, poll_id=pk)
