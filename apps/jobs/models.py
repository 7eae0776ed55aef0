"""The table of jobs. A worker holds a job by its lease, which it renews while it works."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.core.ids import uuid7


class Job(models.Model):
    """One call of a task: it waits, is worked on, and ends.

    While it waits, `due_at` is when a worker may take it; while a worker has it, `due_at` is when
    the lease ends and another worker may take it. A job that has ended has neither.
    """

    class Status(models.TextChoices):
        """How far it is."""

        PENDING = "pending"
        PROCESSING = "processing"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The user who may see and cancel it; null for what concerns nobody in particular.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="jobs"
    )
    task = models.CharField(max_length=200)
    arguments = models.JSONField(default=dict)
    queue = models.CharField(max_length=32)
    priority = models.SmallIntegerField()
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    due_at = models.DateTimeField(null=True)
    # Who has it: a new value for each time that it is taken, so that a worker that lost it and does
    # not know cannot write to it.
    lease = models.UUIDField(null=True)
    worker = models.CharField(max_length=100, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField()
    # At most one job that has not ended has a key.
    unique_key = models.CharField(max_length=200, null=True)  # noqa: DJ001
    # The period of a schedule that it was made for, such as prune@495123.
    slot = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001
    # How far a task that works in steps has come: what it needs to go on.
    checkpoint = models.JSONField(null=True)
    progress = models.PositiveSmallIntegerField(default=0)
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(status="pending", due_at__isnull=False, lease=None, finished_at=None)
                | Q(
                    status="processing", due_at__isnull=False, lease__isnull=False, finished_at=None
                )
                | Q(
                    status__in=["completed", "failed", "cancelled"],
                    due_at=None,
                    lease=None,
                    finished_at__isnull=False,
                ),
                name="job_status",
            ),
            models.CheckConstraint(condition=Q(progress__lte=100), name="job_progress"),
            models.UniqueConstraint(
                fields=["unique_key"],
                condition=Q(status__in=["pending", "processing"]),
                name="job_unique_key",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # A worker asks for one priority of one queue at a time.
            models.Index(
                fields=["queue", "priority", "due_at"],
                condition=Q(due_at__isnull=False),
                name="job_due",
            ),
            models.Index(fields=["owner", "-id"], name="job_of_owner"),
            models.Index(
                fields=["finished_at"], condition=Q(finished_at__isnull=False), name="job_finished"
            ),
            models.Index(fields=["-id"], condition=Q(status="failed"), name="job_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.id}"

    @property
    def revision(self) -> str:
        """Return what differs whenever a client would be shown something else."""
        return f"{self.status}-{self.attempts}-{self.progress}"

    @property
    def type(self) -> str:
        """Return the name of the task, as clients know it."""
        return self.task.rpartition(".")[2]


class AttemptCount(models.Model):
    """How many attempts at a task ended so and took so long: up to this bound, and longer than the
    one below it (durations.py)."""

    task = models.CharField(max_length=200)
    outcome = models.CharField(max_length=10)
    # In seconds, as Prometheus writes it: 0.5, +Inf.
    up_to = models.CharField(max_length=10)
    count = models.PositiveBigIntegerField()
    # Of all of them together. Backups have no type for fractions.
    microseconds = models.PositiveBigIntegerField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["task", "outcome", "up_to"], name="attempt_count_once")
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.outcome} {self.up_to}"
