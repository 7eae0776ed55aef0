"""What jobs declare of themselves."""

from apps.core.features import Feature
from apps.core.metrics import JOB_SECONDS, StoredGauge, StoredHistogram
from apps.jobs.durations import stored_durations
from apps.jobs.models import Job
from apps.jobs.personal_data import PERSONAL_DATA
from apps.jobs.schedules import Schedule
from apps.jobs.selectors import count_by_status, oldest_due_seconds, open_jobs
from apps.jobs.services import jobs_prune
from apps.jobs.upkeep import prune
from apps.jobs.views import JobViewSet

FEATURE = Feature(
    routes={"jobs": JobViewSet},
    prunes={"jobs": jobs_prune},
    schedules={"prune": Schedule(prune, every=3600)},
    counts={"jobs": count_by_status},
    stored_metrics=[
        StoredGauge(
            "parley_jobs", "Jobs that have not ended, or failed.", ("queue", "status"), open_jobs
        ),
        StoredGauge(
            "parley_jobs_oldest_due_seconds",
            "For how long the oldest job that is due has waited.",
            ("queue",),
            oldest_due_seconds,
        ),
        StoredHistogram(
            "parley_job_duration_seconds",
            "How long attempts at jobs took, in all workers.",
            ("task", "outcome"),
            JOB_SECONDS,
            stored_durations,
        ),
    ],
    notification_categories={"jobs": "Jobs that have ended"},
    personal_data=PERSONAL_DATA,
    enums={"JobStatus": Job.Status},
)
