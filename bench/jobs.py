"""Jobs: how many workers do in a second, what it costs to enqueue one, and how soon one begins."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from uuid import UUID

from bench import pgbench
from bench.durability import start_sqlite_backend
from bench.report import Report, Row, compared, median_of, percentile
from bench.servers import ROOT, Backend, Server, parley, start_backend, worker

SETTINGS = "bench.settings"
WORKERS = (1, 2, 4)
# The default of `manage.py worker`.
THREADS = 2
# So many take several seconds. A worker looks once a second, so not all begin at once.
BACKLOG = 6_000
ROUNDS = 3
# In each round of latencies so many jobs are enqueued, with so many seconds between them.
STARTS, PAUSE = 300, 0.05
PATIENCE = 120.0
DRIVERS = {"PostgreSQL": "psycopg", "SQLite": "sqlite3"}

WAITING = "SELECT count(*) FROM jobs_job WHERE task LIKE 'bench.%' AND finished_at IS NULL"
# From when the last of the workers has begun, since they need not begin at the same time.
PER_SECOND = """
    WITH begun AS (
        SELECT max(first) AS at FROM (
            SELECT min(started_at) AS first FROM jobs_job WHERE task LIKE 'bench.%' GROUP BY worker
        ) AS firsts
    )
    SELECT count(*) / extract(epoch FROM max(finished_at) - begun.at)::float
    FROM jobs_job, begun WHERE task LIKE 'bench.%' AND finished_at > begun.at GROUP BY begun.at
"""
STARTED = "SELECT id, result FROM jobs_job WHERE task LIKE 'bench.%tell_time'"


@dataclass(frozen=True)
class Emptied:
    """A backlog that workers have done: jobs a second, and microseconds of the workers' processor
    for each."""

    per_second: float
    cpu: float


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "jobs",
        "Jobs: a backlog that is emptied, the cost of enqueuing, and how soon a job begins",
        "the ratio or the milliseconds of each row, as the table says",
    )
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend())
        sqlite = stack.enter_context(start_sqlite_backend("FULL"))
        report.versions["PostgreSQL"] = str(backend.query("SHOW server_version")).split()[0]
        if pgbench.program() is None:
            missing = "There is no pgbench on this machine: the figures stand WITHOUT THEIR LIMIT."
            print(f"== {missing}", flush=True)
            report.notes.append(missing)
        for count in WORKERS:
            add(report, throughput(backend, count))
        for name, each in (("PostgreSQL", backend), ("SQLite", sqlite)):
            add(report, enqueuing(name, each))
        server = stack.enter_context(parley(backend, SETTINGS, "--without-jobs"))
        stack.enter_context(worker(backend))
        add(report, starts("PostgreSQL and Redis", backend, server))
        embedded = stack.enter_context(parley(sqlite, SETTINGS))
        add(report, starts("SQLite, one process", sqlite, embedded))
    report.notes += [
        f"Jobs/s: {BACKLOG:,} jobs of a task that does nothing, in the transaction that ends its "
        f"job, wait in the table and are done by `manage.py worker` with {THREADS} threads each, "
        "counted from when all workers have begun. pgbench makes the same statements "
        "(bench/jobs.sql), prepared, with as many clients as there are threads. Medians of "
        f"{ROUNDS} rounds, in turn. Cpu µs is the processor time of the workers for each job.",
        "Enqueue is enqueue() of a job in a transaction of its own. Its limits insert a row with "
        "the same values: the driver alone between BEGIN and COMMIT, prepared, and Django's "
        "save(). Medians, in milliseconds, of five rounds of 200 calls each, in turn, in one "
        "process (bench/enqueuing.py). Cpu µs is the processor time of that process for each "
        "call; for enqueue() that of the thread which publishes the wake-up counts as well.",
        f"Begins after: a client has a server enqueue a job, and the next one {PAUSE * 1000:.0f} "
        f"ms after the response, {STARTS} times in each of {ROUNDS} rounds. Milliseconds from the "
        "commit to the first line of the task, by the clock of the machine. On PostgreSQL a "
        "worker, which Redis wakes, does the jobs, and on SQLite a thread of the server.",
        "PostgreSQL flushes every commit to disk. Workers, servers and databases share the cores.",
    ]
    return report


def add(report: Report, rows: list[Row]) -> None:
    """Add rows to the report and print them."""
    report.rows += rows
    print(*rows, sep="\n", flush=True)


def throughput(backend: Backend, count: int) -> list[Row]:
    """Return the row of so many workers."""
    ours, theirs = [], []
    program, clients = pgbench.program(), count * THREADS
    for _ in range(ROUNDS):
        ours.append(empty_by_workers(backend, count))
        if program:
            # A few more than are taken, so that each client finds one until its end.
            refill(backend, BACKLOG + clients)
            theirs.append(pgbench.do_jobs(program, backend, BACKLOG, clients=clients))
    return [
        compared(
            f"jobs/s, {count} worker{'s' if count > 1 else ''}",
            "≥ 0.3",
            [one.per_second for one in ours],
            f"pgbench, {clients} clients",
            [one.per_second for one in theirs],
            {"cpu µs": median_of([one.cpu for one in ours])},
        )
    ]


def refill(backend: Backend, count: int) -> None:
    """Make so many jobs wait, and no others exist."""
    backend.execute("TRUNCATE jobs_job")
    backend.jobs(count)


def empty_by_workers(backend: Backend, count: int) -> Emptied:
    """Have so many workers do a backlog."""
    backend.execute("TRUNCATE jobs_job")
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(backend)) for _ in range(count)]
        before = sum(one.cpu_seconds() for one in workers)
        backend.jobs(BACKLOG)
        wait_for(lambda: backend.query(WAITING) == 0)
        cpu = sum(one.cpu_seconds() for one in workers) - before
    return Emptied(backend.query(PER_SECOND), cpu / BACKLOG * 1e6)


def enqueuing(name: str, backend: Backend) -> list[Row]:
    """Return the rows of what it costs to enqueue."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.enqueuing"],
        env={**backend.environment, "LOG_LEVEL": "warning"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    found = {
        side: list(zip(*rounds, strict=True)) for side, rounds in json.loads(done.stdout).items()
    }
    limits = {"driver": f"{DRIVERS[name]}, the same row", "orm": "the ORM, the same row"}
    took, cpu = found["enqueue"]
    return [
        row
        for side, limit in limits.items()
        for row in (
            compared(f"enqueue ms, {name}", "≤ 1.2", took, limit, found[side][0]),
            compared(f"enqueue cpu µs, {name}", "", cpu, limit, found[side][1]),
        )
    ]


def starts(name: str, backend: Backend, server: Server) -> list[Row]:
    """Return the rows of how soon jobs begin."""
    rounds = [waits(backend, server) for _ in range(ROUNDS)]
    return [
        compared(
            f"begins after, {what} ms, {name}", goal, [percentile(one, share) for one in rounds]
        )
        for what, share, goal in (("p50", 0.5, ""), ("p99", 0.99, "≤ 50"))
    ]


def waits(backend: Backend, server: Server) -> list[float]:
    """Return the milliseconds from the commit of each job to its begin."""
    connection = HTTPConnection("127.0.0.1", server.port)
    committed = {}
    for _ in range(STARTS):
        connection.request("POST", "/enqueue")
        response = json.loads(connection.getresponse().read())
        committed[UUID(response["id"])] = response["committed"]
        time.sleep(PAUSE)
    connection.close()
    wait_for(lambda: backend.query(WAITING) == 0)
    began = {UUID(str(id_)): float(result) for id_, result in backend.rows(STARTED)}
    return [(began[id_] - at) * 1000 for id_, at in committed.items()]


def wait_for(condition: Callable[[], bool]) -> None:
    """Return when the condition is true; raise TimeoutError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("The workers have not done the jobs.")
        time.sleep(0.1)
