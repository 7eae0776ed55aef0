"""The events of jobs, for their owners."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.jobs.models import Job
from apps.jobs.serializers import JobEndedPayload, JobOutput
from apps.realtime.event_log import publish
from apps.realtime.server_frames import Event
from apps.realtime.streams import USER


@dataclass(frozen=True, kw_only=True)
class TaskCompleted(Event):
    """A job of yours is done."""

    type = "task_completed"
    stream = USER
    payload = JobEndedPayload

    job: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TaskFailed(Event):
    """A job of yours has failed, and is not tried again."""

    type = "task_failed"
    stream = USER
    payload = JobEndedPayload

    job: Mapping[str, Any]


def job_ended(job: Job) -> None:
    """Publish to the owner how a job has ended."""
    kind = TaskCompleted if job.status == Job.Status.COMPLETED else TaskFailed
    assert job.owner_id is not None
    publish(kind(to=[job.owner_id], job=JobOutput.dump(job), subject=job.pk))
