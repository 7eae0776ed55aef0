"""The refusals of jobs."""

from apps.core.errors import BadRequest, NotFound


class JobNotFound(NotFound):
    message = "Job not found"


class JobEnded(BadRequest):
    message = "The job has ended already"


class JobNotFailed(BadRequest):
    message = "Only a job that failed or was cancelled can be tried again"
