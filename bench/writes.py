"""Writes over HTTP with 100,000 posts: new posts, changed ones, and messages."""

from collections.abc import Mapping
from contextlib import ExitStack
from math import nan
from pathlib import Path

from bench import pgbench
from bench.before import COMMIT, build_before
from bench.load import Answered, Load
from bench.pgbench import Stored
from bench.report import Report, Row, percentile
from bench.servers import NEVER_REFUSED, TOKENS_LAST, Backend, Server, parley, start_backend
from bench.turns import ROUNDS, Comparison, Side, Turn, rows, side
from bench.workload import Workload

POSTS = 100_000
SETTINGS = "bench.settings"
SECONDS = 1
CONNECTIONS = (1, 16, 64)
PARLEY, BEFORE, PGBENCH = "Parley", "the build before", "pgbench"
# The least ratios to pgbench that are goals, by status and connections.
GOALS = {("draft", 16): "≥ 0.4", ("published", 16): "≥ 0.8"}
NOTES = (
    f"Persistent connections of {pgbench.AUTHORS} users, each with the next request once the last "
    f"one is answered; medians of {ROUNDS} turns of {SECONDS} s each, what is compared in turn. "
    "Load, servers and databases share the cores, and PostgreSQL flushes every commit to disk.",
    "Ratio is the rate divided by that of the limit; cpu ratio is the limit's processor time per "
    "request divided by Parley's own. Load cpu is what the generator itself takes per request.",
    f"The build before is commit {COMMIT} with its own database, which has the same rows. pgbench "
    "stores the same rows (bench/posts.sql, bench/messages.sql), each post or message as one "
    "transaction, prepared, over as many connections. Parley commits what waits at the same time "
    "together, so it can be faster.",
    "The limits on posts and messages per user and on requests per address are consumed as always, "
    "and never reached (bench/settings.py).",
)

Servers = Mapping[str, Server]


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "writes",
        "Writes with 100,000 posts of 6,000 authors, one process",
        "the ratio of each row, as the table says; at least 1,000 messages per second",
    )
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend({**NEVER_REFUSED, **TOKENS_LAST}))
        workload = Workload(backend.community(POSTS))
        servers = {PARLEY: stack.enter_context(parley(backend, SETTINGS))}
        if before := stack.enter_context(build_before(backend)):
            servers[BEFORE] = stack.enter_context(parley(before, SETTINGS))
        program = pgbench.program()
        if program is None:
            print("== There is no pgbench on this machine: not compared with it.", flush=True)
        else:
            pgbench.prepare_posts(backend)
        for status in ("draft", "published"):
            for connections in CONNECTIONS:
                report.rows += created(workload, servers, status, connections, program, backend)
        report.rows += changed(workload, servers)
        report.rows += sent(workload, servers, program, backend)
        report.versions["PostgreSQL"] = str(backend.query("SHOW server_version")).split()[0]
    report.notes += NOTES
    return report


def created(
    workload: Workload,
    servers: Servers,
    status: str,
    connections: int,
    program: Path | None,
    backend: Backend,
) -> list[Row]:
    """Measure new posts."""
    requests = workload.creates(status)
    sides = _sides(servers, requests, connections, status=201)
    if program:
        sides[PGBENCH] = lambda: _turn(
            pgbench.store_posts(
                program,
                backend,
                SECONDS,
                published=status == "published",
                clients=connections,
            )
        )
    return rows(
        f"create, {status}, {_counted(connections)}",
        sides,
        Comparison(PARLEY, BEFORE, "≥ 2" if connections == 1 else "≥ 10"),
        Comparison(PARLEY, PGBENCH, GOALS.get((status, connections), "")),
    )


def changed(workload: Workload, servers: Servers) -> list[Row]:
    """Measure changes of posts by their authors."""
    sides = _sides(servers, workload.changes(), 16, status=200)
    return rows(f"change, {_counted(16)}", sides, Comparison(PARLEY, BEFORE))


def sent(workload: Workload, servers: Servers, program: Path | None, backend: Backend) -> list[Row]:
    """Measure messages."""
    requests = workload.messages()
    found: list[Row] = []
    for connections in (16, 64):
        sides = _sides(servers, requests, connections, status=201)
        if connections == pgbench.CLIENTS and program:
            # The limit copies the event of a message, so there must be one.
            sides[PARLEY]()
            pgbench.prepare_messages(backend)
            sides[PGBENCH] = lambda: _turn(pgbench.store_messages(program, backend, SECONDS, None))
        comparisons = [Comparison(PARLEY, BEFORE, "1,000/s")]
        if PGBENCH in sides:
            comparisons.append(Comparison(PARLEY, PGBENCH))
        found += rows(f"message, {_counted(connections)}", sides, *comparisons)
    return found


def _sides(
    servers: Servers, requests: list[bytes], connections: int, *, status: int
) -> dict[str, Side]:
    return {
        name: side(
            Load([server.port], requests, connections, seconds=SECONDS, status=status), server
        )
        for name, server in servers.items()
    }


def _turn(stored: Stored) -> Turn:
    """Return what pgbench did as a turn, whose processor time is unknown."""
    took = stored.took
    p50, p99 = (percentile(took, share) for share in (0.5, 0.99))
    return Turn(Answered(len(took), stored.per_second, p50, p99, nan), nan)


def _counted(connections: int) -> str:
    return f"{connections} connection{'s' if connections > 1 else ''}"
