"""Jobs in the admin pages: administrators see them, and try again those that failed."""

from collections.abc import Collection
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.models import User
from apps.core.admin import ReadOnlyAdmin
from apps.jobs.models import Job
from apps.jobs.services import job_retry


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """The jobs, the newest first."""

    list_display = ("type", "status", "attempts", "progress", "created_at", "finished_at")
    list_filter = ("status", "queue")
    ordering = ("-id",)
    fields = (
        *("task", "owner", "arguments", "status", "progress", "attempts", "max_attempts"),
        *("error", "result", "worker", "created_at", "due_at", "started_at", "finished_at"),
    )
    actions = ("retry",)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Show jobs to administrators only: their arguments may be words and addresses of users."""
        return getattr(request.user, "role", "") == User.Role.ADMIN

    @admin.action(description="Try again", permissions=["view"])
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Try jobs that failed or were cancelled once more."""
        actor = self.actor(request)
        self.each(request, jobs, lambda job: job_retry(job.pk, actor), "is tried again")

    def actions_of(self, request: HttpRequest, row: Any) -> Collection[str]:
        """Return the action of a job that may be tried again."""
        return ["retry"] if row.status in {Job.Status.FAILED, Job.Status.CANCELLED} else []
