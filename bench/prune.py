"""What a writer notices while millions of old events are deleted."""

import subprocess
import sys
from contextlib import ExitStack

from bench.messages import CONNECTED, PEOPLE, Offer, Setup, offer, warm_up
from bench.report import Report, Row, percentile
from bench.servers import ROOT, parley, start_backend
from bench.sockets import Crowd, allow_open_files

STREAMS, EVENTS_PER_STREAM = 30_000, 70
RATE = 100
SECONDS = 5
# A third of the old events is older than each of these.
RETENTION_DAYS = (30, 20, 10)
# Of each stream the oldest events have the lowest numbers.
OLD_EVENTS = f"""
INSERT INTO realtime_event (stream, seq, type, data, size, subject, created_at)
    SELECT 'user.' || lpad(to_hex(n % {STREAMS}), 32, '0'), n / {STREAMS} + 1, 'chat_message',
        jsonb_build_object('message', repeat('a message ', 40)), 500, gen_random_uuid(),
        now() - interval '1 day' * (35 - 10 * (n / {STREAMS} * 3 / {EVENTS_PER_STREAM}))
            + interval '1 ms' * n
    FROM generate_series(0, {STREAMS * EVENTS_PER_STREAM - 1}) AS n
"""  # noqa: S608
PRUNED = "SELECT count(*) FROM realtime_event WHERE created_at < now() - interval '%d days'"


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "prune",
        "A writer while old events are deleted",
        "the writer's p99 while events are pruned at most 2 x that without, and no message refused",
    )
    allow_open_files(4 * PEOPLE)
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend())
        print("making events", flush=True)
        # They take so long that sockets which are open would miss their pings.
        backend.execute(OLD_EVENTS)
        backend.execute("VACUUM ANALYZE realtime_event")
        backend.execute("CHECKPOINT")
        users = backend.users(PEOPLE)
        server = stack.enter_context(parley(backend))
        crowd = stack.enter_context(Crowd(server.port))
        crowd.join([user.token for user in users], CONNECTED)
        setup = Setup(backend, server, crowd, users)
        warm_up(setup)
        for days in RETENTION_DAYS:
            report.rows.append(row(setup, days))
            print(report.rows[-1], flush=True)
    report.notes += [
        f"{STREAMS * EVENTS_PER_STREAM:,} events of {STREAMS:,} streams, of which `manage.py "
        "prune` deletes a third in each round, in a process of its own, as the retention gets "
        "shorter.",
        f"The writer sends {RATE} messages a second over websockets in rounds of {SECONDS} s: one "
        "without the prune, and then as many as begin while it runs. Times are milliseconds until "
        "the ack.",
        "PostgreSQL flushes every commit to disk. Clients, server, prune and database share the "
        "cores.",
    ]
    return report


def row(setup: Setup, days: int) -> Row:
    """Return the row of one round: without the prune, and with it."""
    old = setup.backend.query(PRUNED % days)
    quiet = [offer(setup, RATE, SECONDS, f"quiet-{days}-{number}") for number in range(2)]
    environment = {**setup.backend.environment, "EVENT_RETENTION_DAYS": str(days)}
    pruning = subprocess.Popen([sys.executable, "manage.py", "prune"], env=environment, cwd=ROOT)
    pruned: list[Offer] = []
    while pruning.poll() is None:
        pruned.append(offer(setup, RATE, SECONDS, f"pruned-{days}-{len(pruned)}"))
    if pruning.returncode:
        raise RuntimeError("The prune failed.")
    seconds = len(pruned) * SECONDS
    without, with_it = waits(quiet), waits(pruned)
    return {
        "deleted": old - setup.backend.query(PRUNED % days),
        "within s": seconds,
        "p99 x (≤ 2)": percentile(with_it, 0.99) / percentile(without, 0.99),
        "p99": percentile(without, 0.99),
        "p99 while pruning": percentile(with_it, 0.99),
        "p50": percentile(without, 0.5),
        "p50 while pruning": percentile(with_it, 0.5),
        "longest": max(without),
        "longest while pruning": max(with_it),
        "refused or lost": sum(len(one.sent) - len(one.delivered) for one in [*quiet, *pruned]),
    }


def waits(offers: list[Offer]) -> list[float]:
    """Return the milliseconds until each ack."""
    return [took * 1000 for one in offers for took in one.waits(one.acked)]
