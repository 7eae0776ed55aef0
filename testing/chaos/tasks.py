"""The periodic job of the experiments."""

import time

from django.db import connection

from apps.jobs.models import Job
from apps.jobs.steps import current_job
from apps.jobs.tasks import job

# How long it takes, so that workers can be killed meanwhile.
SECONDS = 0.3


@job(attempts=20)
def note_slot() -> None:
    """Note in which slot it runs, in the transaction that ends the job."""
    slot = Job.objects.values_list("slot", flat=True).get(pk=current_job().id)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO chaos_run (slot) VALUES (%s)", [slot])
    time.sleep(SECONDS)
