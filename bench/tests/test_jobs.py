"""pgbench does what a worker does with a job, and a row tells both."""

import re
from collections.abc import Iterable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.jobs.attempts import attempt
from apps.jobs.leases import jobs_take
from apps.jobs.models import Job
from apps.jobs.tasks import QUEUES
from bench import pgbench
from bench.report import compared
from bench.tasks import nothing

# A value, with its type.
VALUE = re.compile(r"('[^']*'|%s|\bNULL\b|:\w+|\w+\(\)|-?\b\d[\d.]*)(::\w+)?")


def shapes(statements: Iterable[str]) -> list[str]:
    """Return statements without their values, their white space, and the names of the columns that
    they return."""
    texts = [one.partition("RETURNING")[0] for one in statements]
    return [re.sub(r"\s", "", VALUE.sub("?", one)) for one in texts if one.strip()]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="pgbench is for PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_pgbench_makes_the_statements_of_a_worker() -> None:
    nothing.enqueue()
    with CaptureQueriesContext(connection) as made:
        [job] = jobs_take("worker", QUEUES, 1)
        attempt(job)
    assert Job.objects.get().status == "completed"
    script = re.sub("^--.*$", "", pgbench.JOBS.read_text(), flags=re.MULTILINE)
    assert shapes(re.split(r"\\gset|;", script)) == shapes(one["sql"] for one in made)


def test_a_row_tells_the_medians_of_both_sides() -> None:
    row = compared("jobs/s", "≥ 0.3", [300, 500, 400], "pgbench", [900, 800, 1_000], {"cpu µs": 7})
    assert (row["ratio"], row["Parley"], row["from..to"]) == (400 / 900, 400, "300.0..500.0")
    assert (row["limit"], row["limit's from..to"], row["cpu µs"]) == (900, "800.0..1000.0", 7)


def test_a_row_without_a_limit_has_no_ratio() -> None:
    row = compared("all rows, s", "≤ 30", [4.0])
    assert (row["ratio"], row["limit"], row["limit's from..to"]) == (None, None, "")
