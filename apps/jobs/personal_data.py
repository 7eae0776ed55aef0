"""What jobs keep of a user: the jobs that were made for them."""

from collections.abc import Mapping
from uuid import UUID

from apps.core.features import PersonalData
from apps.jobs.models import Job

EXPORTED = (
    *("id", "task", "arguments", "status", "progress", "result", "error"),
    *("created_at", "started_at", "finished_at"),
)


def _erase(user_id: UUID, _: UUID) -> Mapping[str, int]:
    return {"jobs": Job.objects.filter(owner=user_id).delete()[0]}


PERSONAL_DATA = PersonalData(
    fields={"jobs.Job.owner"},
    exports={
        "jobs": lambda user_id: Job.objects.filter(owner=user_id).order_by("pk").values(*EXPORTED)
    },
    erase=_erase,
)
