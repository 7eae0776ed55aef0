"""The refusals of jobs."""

from apps.core.errors import BadRequest, NotFound


class JobNotFound(NotFound):
    message = "Job not found"


class JobEnded(BadRequest):
    message = "The job has ended already"


class JobNotFailed(BadRequest):
    message = "Only a job that failed or was cancelled can be tried again"


class JobStoredAgain(BadRequest):
    message = "Another job does the same already"


class TryLater(Exception):
    """A task wants its job tried again, in so many seconds at the earliest. That is no fault, so
    the log has no traceback of it."""

    def __init__(self, reason: str, seconds: float = 0) -> None:
        super().__init__(reason)
        self.seconds = seconds
