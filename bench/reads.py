"""Reads of 100,000 posts: from kept bytes, from the database, by list, and through Django."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from bench.before import COMMIT, build_before
from bench.http import gunicorn
from bench.load import Load, Running, request, response
from bench.report import Report, Row
from bench.servers import (
    NEVER_REFUSED,
    TOKENS_LAST,
    Backend,
    Server,
    parley,
    same_uvicorn,
    start_backend,
)
from bench.turns import ROUNDS, Comparison, Side, Turn, in_turn, row, rows, side
from bench.workload import DEEP_PAGES, FIRST_PAGES, Workload

POSTS = 100_000
SETTINGS = "bench.settings"
SECONDS = 1.0
PARLEY, BEFORE, GUNICORN, BARE = "Parley", "the build before", "gunicorn", "bare ASGI"
SIGNED_IN, TWO = "Parley, signed in", "Parley, two processes"
ALONE, DISTURBED = "Parley, nothing else", "Parley, with misses and creates"
# The connections of the hits that are timed, and of the misses and creates at the same time.
HITTING, MISSING, CREATING = 4, 8, 4
FIRST, DEEP = "pages 1 to 200", "pages 3,900 to 4,100"
NOTES = (
    f"Persistent connections, 16 unless the row says otherwise; medians of {ROUNDS} turns of "
    f"{SECONDS:.0f} s each, what is compared in turn. Load, servers and databases share the cores.",
    "Ratio is the rate divided by that of the limit; cpu ratio is the limit's processor time per "
    "request divided by Parley's own. Where the generator or the shared cores bound the rates, the "
    "second one is true. Both count the whole server: view counts, log lines and limits too. Load "
    "cpu is what the generator itself takes per request.",
    f"The build before is commit {COMMIT} with its own database, which has the same rows. Gunicorn "
    "runs this build's views, in as many threads as Parley has for requests. The bare ASGI "
    "function answers with a body of the same size on the same uvicorn.",
    "Never kept: no post and no page is asked for again before the others were, with "
    "CACHE_MEGABYTES=1. The limit per address is consumed as always, and never reached.",
    f"Misses and creates: {MISSING} connections that read posts at random, and {CREATING} that "
    f"publish posts, while {HITTING} are timed. The server's processor time in that row includes "
    "theirs.",
)

Servers = Mapping[str, Server]


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "reads",
        "Reads of 100,000 posts of 6,000 authors",
        "the ratio of each row, as the table says",
    )
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend({**NEVER_REFUSED, **TOKENS_LAST}))
        workload = Workload(backend.community(POSTS))
        bare = same_uvicorn("bench.bare_asgi:application", backend.environment)
        servers = {
            PARLEY: stack.enter_context(parley(backend, SETTINGS)),
            BARE: stack.enter_context(bare),
            GUNICORN: stack.enter_context(gunicorn(backend, backend.setting("HTTP_THREADS"))),
        }
        if before := stack.enter_context(build_before(backend)):
            servers[BEFORE] = stack.enter_context(parley(before, SETTINGS))
        report.rows += kept(workload, servers)
        report.rows += [hits_among_others(workload, servers[PARLEY])]
        # It keeps less than is asked for until the same is asked for again.
        small = stack.enter_context(parley(backend, SETTINGS, CACHE_MEGABYTES="1"))
        report.rows += through_the_database(workload, {**servers, PARLEY: small})
        report.rows += pages(workload, {**servers, PARLEY: small})
        report.rows += two_processes(workload, backend, servers[PARLEY])
        report.versions["PostgreSQL"] = str(backend.query("SHOW server_version")).split()[0]
    report.notes += NOTES
    return report


def kept(workload: Workload, servers: Servers) -> list[Row]:
    """Measure what is answered from kept bytes, compared with a bare function and as many bytes."""
    parley_, bare = servers[PARLEY], servers[BARE]
    post, listed = workload.hot_post(), workload.hot_list()
    of_post = {
        PARLEY: _side(parley_, post),
        SIGNED_IN: _side(parley_, workload.hot_post(readers=16)),
        BARE: _side(bare, _as_many_bytes(parley_, post[0])),
    }
    of_list = {
        PARLEY: _side(parley_, listed),
        BARE: _side(bare, _as_many_bytes(parley_, listed[0])),
    }
    return [
        *rows(
            "one post, kept",
            of_post,
            Comparison(PARLEY, BARE, "≥ 0.8"),
            Comparison(SIGNED_IN, PARLEY, "≥ 0.8"),
        ),
        *rows("list of 20, kept", of_list, Comparison(PARLEY, BARE, "≥ 0.6")),
    ]


def hits_among_others(workload: Workload, server: Server) -> Row:
    """Measure how long a hit takes while other clients miss and create."""
    posts, creates = workload.posts(), workload.creates("published")
    load = Load([server.port], workload.hot_post(), connections=HITTING, seconds=2 * SECONDS)
    alone = side(load, server)

    def disturbed() -> Turn:
        others = [
            Running(
                Load(
                    [server.port],
                    requests,
                    connections=connections,
                    seconds=3 * SECONDS,
                    status=status,
                    first=random.randrange(len(requests)),
                )
            )
            for requests, connections, status in ((posts, MISSING, 200), (creates, CREATING, 201))
        ]
        time.sleep(SECONDS / 2)
        turn = alone()
        for other in others:
            other.result()
        return turn

    comparison = Comparison(DISTURBED, ALONE, "p99 ≤ 20 ms")
    turns = in_turn({ALONE: alone, DISTURBED: disturbed})
    found = row("one post, kept", turns, comparison)
    print(found, flush=True)
    return found


def through_the_database(workload: Workload, servers: Servers) -> list[Row]:
    """Measure what is not kept, compared with the build before and with the view on gunicorn."""
    found: list[Row] = []
    for what, requests, goal, status in (
        ("one post, never kept", workload.posts(), "≥ 12", 200),
        ("list of 20 by cursor, never kept", workload.by_cursor(), "≥ 8", 200),
        ("own profile, signed in", workload.profiles(), "≥ 3", 200),
        ("unknown route", workload.unknown_route(), "", 404),
    ):
        compared = [name for name in (PARLEY, BEFORE, GUNICORN) if name in servers]
        found += rows(
            what,
            {name: _side(servers[name], requests, status) for name in compared},
            Comparison(PARLEY, BEFORE, goal),
            Comparison(PARLEY, GUNICORN),
        )
    return found


def pages(workload: Workload, servers: Servers) -> list[Row]:
    """Measure deep pages, compared with the first ones and with the build before."""
    sides = {
        f"{name}, {pages}": _side(servers[name], workload.pages(numbers))
        for name in (PARLEY, BEFORE)
        if name in servers
        for pages, numbers in ((FIRST, FIRST_PAGES), (DEEP, DEEP_PAGES))
    }
    deep = f"{PARLEY}, {DEEP}"
    return rows(
        "list of 20 by page, never kept",
        sides,
        Comparison(deep, f"{PARLEY}, {FIRST}", "≥ 0.77"),
        Comparison(deep, f"{BEFORE}, {DEEP}"),
        Comparison(f"{PARLEY}, {FIRST}", f"{BEFORE}, {FIRST}"),
    )


def two_processes(workload: Workload, backend: Backend, one: Server) -> list[Row]:
    """Measure two processes, compared with one."""
    found: list[Row] = []
    with _two_processes(backend) as both:
        for what, requests in (
            ("one post, never kept", workload.posts()),
            ("own profile, signed in", workload.profiles()),
        ):
            ports = [server.port for server in both]
            load = Load(ports, requests, connections=64, seconds=SECONDS)
            sides = {
                PARLEY: side(replace(load, ports=[one.port]), one),
                TWO: side(load, *both),
            }
            found += rows(f"{what}, 64 connections", sides, Comparison(TWO, PARLEY, "≥ 1.7"))
    return found


@contextmanager
def _two_processes(backend: Backend) -> Iterator[Sequence[Server]]:
    """Yield two processes: behind one port if this build can do that, else each on its own."""
    command = [sys.executable, "manage.py", "serve", "--help"]
    said = subprocess.run(
        command, cwd=backend.folder, env=backend.environment, capture_output=True, check=True
    ).stdout
    with ExitStack() as stack:
        if b"--processes" in said:
            yield [stack.enter_context(parley(backend, SETTINGS, "--processes", "2"))]
        else:
            yield [stack.enter_context(parley(backend, SETTINGS)) for _ in range(2)]


def _side(server: Server, requests: Sequence[bytes], status: int = 200) -> Side:
    return side(Load([server.port], requests, seconds=SECONDS, status=status), server)


def _as_many_bytes(server: Server, sent: bytes) -> list[bytes]:
    """Return the request for as many bytes as the body of the server's response has."""
    body = response(server.port, sent).partition(b"\r\n\r\n")[2]
    return [request("GET", f"/{len(body)}")]
