"""How the builds are broken that lack a safeguard of jobs or of what leaves by them."""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4


def enqueue_after_commit(calls: Any) -> None:
    """Store jobs when the transaction of what they are for has ended."""
    from django.db import transaction

    from apps.jobs.enqueuing import jobs_enqueue

    given = list(calls)
    transaction.on_commit(lambda: jobs_enqueue(given))


def advance_in_memory(job: Any, checkpoint: Any, progress: int) -> None:
    """Keep how far a job has come where the next worker does not find it."""
    job.checkpoint, job.progress = checkpoint, progress


def send_with_a_new_id(letter: Any, to: str, *_: Any) -> None:
    """Send a mail under an id of this attempt."""
    from apps.mail.sending import send

    send(letter, to, uuid4())


def update_whoever_has_it(job: Any, **values: Any) -> None:
    """Write to a job that another worker may have by now."""
    from apps.jobs.models import Job

    Job.objects.filter(pk=job.pk).update(**values)


# In place of the table: no slot has a job yet.
NO_JOB = SimpleNamespace(
    objects=SimpleNamespace(filter=lambda **_: SimpleNamespace(exists=lambda: False))
)
