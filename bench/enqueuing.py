"""What it costs to enqueue a job, and to insert the same row: python -m bench.enqueuing.

The row is inserted by the driver alone and by the ORM. Each is one transaction. Prints a JSON
object of all three, each with a list of the rounds: milliseconds until the commit, and microseconds
of the processor, which are those of this process.
"""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import django
import psycopg
from django.db import connection, transaction
from psycopg.types.json import Jsonb

ROUNDS = 5
CALLS = 200
Figures = tuple[float, float]


def enqueue() -> None:
    """Enqueue a job."""
    from bench.tasks import nothing

    with transaction.atomic():
        nothing.enqueue()


def prepare_orm_insert() -> Callable[[], None]:
    """Return a function that inserts the row of a job as Django does."""
    from apps.core.ids import uuid7
    from apps.jobs.models import Job

    values: dict[str, Any] = {**Job.objects.values().get()}
    del values["id"]

    def insert() -> None:
        job = Job(**values, id=uuid7())
        with transaction.atomic():
            job.save(force_insert=True)

    return insert


def prepare_driver_insert() -> Callable[[], None]:
    """Return a function that inserts the row of a job by the driver alone, on a connection of its
    own."""
    from apps.core.ids import uuid7

    bare: Any
    new_id: Callable[[], object]
    if connection.vendor == "sqlite":
        # Django's, which has the pragmas of the settings.
        bare = connection.get_new_connection(connection.get_connection_params())
        mark, new_id = "?", lambda: uuid7().hex
    else:
        bare = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        mark, new_id = "%s", uuid7
    found = bare.execute("SELECT * FROM jobs_job LIMIT 1")
    columns = [column[0] for column in found.description]
    values = [Jsonb(one) if isinstance(one, dict) else one for one in found.fetchone()]
    marks = ", ".join([mark] * len(columns))
    statement = f"INSERT INTO jobs_job ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
    place = columns.index("id")

    def insert() -> None:
        values[place] = new_id()
        bare.execute("BEGIN")
        bare.execute(statement, values)
        bare.execute("COMMIT")

    return insert


def measure(act: Callable[[], None]) -> Figures:
    """Return the median milliseconds of a call, and the mean microseconds of the processor."""
    took = []
    cpu = time.process_time()
    for _ in range(CALLS):
        began = time.perf_counter()
        act()
        took.append((time.perf_counter() - began) * 1000)
    return median(took), (time.process_time() - cpu) / CALLS * 1e6


def main() -> None:
    """Measure them in turn, after a round that warms them up, and leave no jobs."""
    from apps.jobs.models import Job

    # The row that is inserted is the only one.
    Job.objects.all().delete()
    enqueue()
    sides = {
        "enqueue": partial(measure, enqueue),
        "driver": partial(measure, prepare_driver_insert()),
        "orm": partial(measure, prepare_orm_insert()),
    }
    found: dict[str, list[Figures]] = {name: [] for name in sides}
    for number in range(ROUNDS + 1):
        for name, side in sides.items():
            figures = side()
            if number:
                found[name].append(figures)
    Job.objects.all().delete()
    print(json.dumps(found))


if __name__ == "__main__":
    django.setup()
    main()
