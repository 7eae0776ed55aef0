"""One's own jobs over HTTP."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.decorators import action

from apps.accounts.requests import UserRequest
from apps.core.http.endpoints import Endpoint
from apps.core.http.viewsets import ApiViewSet
from apps.jobs import selectors, services
from apps.jobs.errors import JobEnded, JobNotFound
from apps.jobs.models import Job
from apps.jobs.serializers import JobOutput, JobQuery
from apps.realtime.snapshots import USER_STREAM


class JobViewSet(ApiViewSet):
    """Work that the server does for a user after it has answered."""

    @Endpoint(
        message="Jobs retrieved successfully",
        query=JobQuery,
        output=JobOutput,
        per_page=10,
        streams=USER_STREAM,
    )
    def list(self, request: UserRequest, **filters: Any) -> QuerySet[Job]:
        """List one's jobs, the newest first."""
        return selectors.jobs_of(request.user, **filters)

    @Endpoint(
        message="Job retrieved successfully",
        output=JobOutput,
        refuses=[JobNotFound],
        revision="revision",
    )
    def retrieve(self, request: UserRequest, pk: UUID) -> Job:
        """Return a job, and how far it is."""
        return selectors.job_get(request.user, pk)

    @action(detail=True, methods=["post"])
    @Endpoint(
        message="Job cancelled successfully", output=JobOutput, refuses=[JobNotFound, JobEnded]
    )
    def cancel(self, request: UserRequest, pk: UUID) -> Job:
        """Cancel a job that has not ended."""
        return services.job_cancel(request.user, job_id=pk)
