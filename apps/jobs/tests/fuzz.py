"""Facts about jobs that the fuzz run cannot find out by itself."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from apps.jobs.upkeep import prune
from testing.fuzz.knowledge import Knowledge
from testing.fuzz.people import EACH, People, Person


def _job_of(caller: Person, other: Person) -> str:
    """Return a job that no worker takes before the run ends. No route makes one yet."""
    tomorrow = timezone.now() + timedelta(days=1)
    return prune.with_options(owner_id=UUID(caller.id), run_after=tomorrow).enqueue().id


def _past(people: People) -> Mapping[str, Sequence[str | int]]:
    jobs, doomed = (
        [_job_of(owner, owner) for _ in range(EACH) for owner in (people.ann, people.bob)]
        for _ in range(2)
    )
    return {"jobs": jobs, "doomed_jobs": doomed}


KNOWLEDGE = Knowledge(
    real={"jobs_cancel": {"path.id": "doomed_jobs"}, "jobs_retrieve": {"path.id": "jobs"}},
    past=_past,
    reasons={"The job has ended already"},
    single_use={"jobs_cancel"},
    things={"jobs_cancel": _job_of, "jobs_retrieve": _job_of},
)
