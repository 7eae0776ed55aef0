"""Taking jobs, and holding what was taken.

Each change is one statement, on the clock of the database, since those of workers may differ. On
PostgreSQL workers skip what others are taking; on SQLite they take turns.
"""

from collections.abc import Collection, Sequence
from itertools import product
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from apps.core.db.prepared import Prepared, statement_cursor
from apps.core.ids import uuid7
from apps.jobs.models import Job
from apps.jobs.tasks import PRIORITIES

# A worker that does not renew a lease for so long has lost the job.
LEASE_SECONDS = 30
RENEW_SECONDS = 10
# The clock of SQLite tells milliseconds, so what was enqueued in this one is due as well.
TICK = 0.001

_NOW = {
    "postgresql": "statement_timestamp() + %s * interval '1 second'",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f000', 'now', %s || ' seconds')",
}
_SKIP = {"postgresql": "FOR UPDATE SKIP LOCKED", "sqlite": ""}

# PostgreSQL may ask a subquery for the jobs that are due once more after each that it has locked,
# and so take more than that many.
_TAKE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM jobs_job
        WHERE queue = %s AND priority = %s AND due_at <= {now} AND attempts < max_attempts
        ORDER BY due_at LIMIT {most} {skip}
    )
    UPDATE jobs_job SET status = 'processing', attempts = attempts + 1, lease = %s, worker = %s,
        due_at = {now}, started_at = COALESCE(started_at, {now})
    WHERE id IN (SELECT id FROM due)
"""
_JOBS = Prepared(lambda: Job.objects.order_by())
# On SQLite even an update of nothing waits for the writers, so a worker looks first. The order and
# the limit have the index find one job of each kind: otherwise all that wait would be read each
# time.
_DUE = """
    WITH kind (queue, priority) AS (VALUES {kinds})
    SELECT queue, priority FROM kind WHERE (
        SELECT 1 FROM jobs_job
        WHERE jobs_job.queue = kind.queue AND jobs_job.priority = kind.priority
            AND due_at <= {now} AND attempts < max_attempts
        ORDER BY due_at LIMIT 1
    ) IS NOT NULL
    ORDER BY priority DESC LIMIT 1
"""
_RENEW = """
    UPDATE jobs_job SET due_at = {now} WHERE lease IN ({leases}) RETURNING id
"""
_GIVE_BACK = """
    UPDATE jobs_job SET status = 'pending', attempts = attempts - 1, lease = NULL, due_at = {now}
    WHERE lease IN ({leases})
"""


def jobs_take(worker: str, queues: Sequence[str], most: int) -> list[Job]:
    """Take up to so many jobs that are due, the most urgent first; those whose worker lost them
    too. Each call makes one lease for all."""
    kinds = list(product(queues, PRIORITIES))
    given: list[str | int] = [value for kind in kinds for value in kind]
    cursor = statement_cursor(connections[DEFAULT_DB_ALIAS])
    cursor.execute(_sql(_DUE, kinds=kinds), [*given, TICK])
    due = cursor.fetchone()
    if due is None:
        return []
    values = [*due, TICK, _uuid(uuid7()), worker, LEASE_SECONDS, 0]
    taken = _JOBS.written(_sql(_TAKE, most=most), values)
    return sorted(taken, key=lambda job: job.created_at)


def leases_renew(leases: Collection[Any]) -> set[UUID]:
    """Hold jobs for LEASE_SECONDS more, and return the ids of those that are still held."""
    if not leases:
        return set()
    values = [LEASE_SECONDS, *map(_uuid, leases)]
    return {found.pk for found in Job.objects.raw(_sql(_RENEW, leases), values)}


def jobs_give_back(leases: Collection[Any]) -> None:
    """Let other workers take these jobs at once, as if they had not been tried."""
    if leases:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(_sql(_GIVE_BACK, leases), [0, *map(_uuid, leases)])


def _sql(
    template: str, leases: Collection[Any] = (), kinds: Collection[Any] = (), most: int = 0
) -> str:
    vendor = connections[DEFAULT_DB_ALIAS].vendor
    return template.format(
        now=_NOW[vendor],
        skip=_SKIP[vendor],
        leases=", ".join(["%s"] * len(leases)),
        kinds=", ".join(["(%s, %s)"] * len(kinds)),
        # As a parameter it would have PostgreSQL plan the prepared statement for many rows.
        most=most,
    )


def _uuid(value: UUID) -> Any:
    """Return the id as the database has it."""
    return Job._meta.pk.get_db_prep_value(value, connections[DEFAULT_DB_ALIAS])
