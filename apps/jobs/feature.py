"""What jobs declare of themselves."""

from apps.core.features import Feature
from apps.jobs.models import Job
from apps.jobs.personal_data import PERSONAL_DATA
from apps.jobs.schedules import Schedule
from apps.jobs.selectors import count_by_status
from apps.jobs.services import jobs_prune
from apps.jobs.upkeep import prune
from apps.jobs.views import JobViewSet

FEATURE = Feature(
    routes={"jobs": JobViewSet},
    prunes={"jobs": jobs_prune},
    schedules={"prune": Schedule(prune, every=3600)},
    counts={"jobs": count_by_status},
    personal_data=PERSONAL_DATA,
    enums={"JobStatus": Job.Status},
)
