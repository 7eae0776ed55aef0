"""What a request costs in processor time, and for what: before and now."""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.before import COMMIT, build_before
from bench.load import Load
from bench.load import run as run_load
from bench.report import Report
from bench.sampled import PARTS, SERVER
from bench.servers import (
    NEVER_REFUSED,
    ROOT,
    TOKENS_LAST,
    Backend,
    Server,
    free_port,
    parley,
    running,
    start_backend,
)
from bench.turns import side
from bench.workload import Workload

POSTS = 20_000
SETTINGS = "bench.settings"
SECONDS = 3.0
WAIT_SECONDS = 10
# It keeps less than is asked for until the same is asked for again.
NOTHING_KEPT = {"CACHE_MEGABYTES": "1"}


@dataclass(frozen=True)
class Sampled:
    """A server that takes samples of what it does."""

    server: Server
    path: Path

    def samples(self) -> Counter[str]:
        """Return the samples since the last call."""
        self.path.unlink(missing_ok=True)
        os.kill(self.server.pid, signal.SIGUSR2)
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.path.exists():
            if time.monotonic() > deadline:
                raise RuntimeError("The server wrote no samples.")
            time.sleep(0.02)
        return Counter(json.loads(self.path.read_text()))


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "split",
        "The processor time of a request, in µs, and what it is for",
        "none of its own: it says where the time goes",
    )
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend({**NEVER_REFUSED, **TOKENS_LAST}))
        workload = Workload(backend.community(POSTS))
        builds = {"now": backend}
        if before := stack.enter_context(build_before(backend)):
            shutil.copy(ROOT / "bench" / "sampled.py", before.folder / "bench")
            builds = {"before": before, **builds}
        kinds = kinds_of(workload)
        for name, build in builds.items():
            for kept in (True, False):
                report.rows += [
                    {"request": what, "build": name, **figures}
                    for what, figures in measure(build, kinds, kept=kept)
                ]
    order = [what for what, *_ in kinds]
    report.rows.sort(key=lambda row: (order.index(row["request"]), row["build"]))
    report.notes += [
        f"Processor time of the whole server per request at 16 connections, over {SECONDS:.0f} s. "
        "As served is that of `manage.py serve`. In one thread is that of the same server whose "
        "pools of threads run their work on the loop: the difference is the way to threads and "
        "back.",
        "The other columns split the time in one thread. The system interrupts the server whenever "
        "it has taken some more processor time, and the innermost function that bench/sampled.py "
        "lists says what it did: a few percent of the time are as exact as that is. Server is all "
        "that no other part covers: uvicorn, the loop, the bridge, and the kernel's work for them; "
        "also the threads that write log lines and view counts.",
        f"Before is commit {COMMIT} with the same rows: {POSTS:,} posts. Never kept means that no "
        "post is asked for again before the others were, with CACHE_MEGABYTES=1.",
    ]
    return report


Kind = tuple[str, Sequence[bytes], int, bool]


def kinds_of(workload: Workload) -> list[Kind]:
    """Return the kinds of requests: each with its requests, its status, and whether it is to be
    answered from kept bytes."""
    return [
        ("one post, kept", workload.hot_post(), 200, True),
        ("one post, kept, signed in", workload.hot_post(readers=16), 200, True),
        ("list of 20, kept", workload.hot_list(), 200, True),
        ("one post, never kept", workload.posts(), 200, False),
        ("list of 20 by cursor, never kept", workload.by_cursor(), 200, False),
        ("own profile, signed in", workload.profiles(), 200, True),
        ("unknown route", workload.unknown_route(), 404, True),
        ("create, draft", workload.creates("draft"), 201, True),
        ("create, published", workload.creates("published"), 201, True),
        ("message", workload.messages(), 201, True),
    ]


def measure(
    build: Backend, kinds: Sequence[Kind], *, kept: bool
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield what each kind costs a build, of those that are to be kept or of the others."""
    changed = {} if kept else NOTHING_KEPT
    with parley(build, SETTINGS, **changed) as usual, _sampled(build, changed) as sampled:
        for what, requests, status, is_kept in kinds:
            if is_kept is kept:
                figures = _split(usual, sampled, requests, status)
                print(what, figures, flush=True)
                yield what, figures


def _split(
    usual: Server, sampled: Sampled, requests: Sequence[bytes], status: int
) -> dict[str, float]:
    warm = Load([usual.port], requests, seconds=0.5, status=status)
    run_load(warm)
    as_served = side(Load([usual.port], requests, seconds=SECONDS, status=status), usual)()
    ports = [sampled.server.port]
    run_load(Load(ports, requests, seconds=0.5, status=status))
    sampled.samples()
    turn = side(Load(ports, requests, seconds=SECONDS, status=status), sampled.server)()
    counts = sampled.samples()
    whole = turn.server_cpu * 1e6
    shares = {part: counts[part] / max(counts.total(), 1) for part in (SERVER, *dict(PARTS))}
    return {
        "as served": as_served.server_cpu * 1e6,
        "in one thread": whole,
        **{part: share * whole for part, share in shares.items()},
        "samples": counts.total(),
    }


@contextmanager
def _sampled(build: Backend, changed: dict[str, str]) -> Iterator[Sampled]:
    port = free_port()
    command = [sys.executable, "-m", "bench.sampled", "serve", "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples"
        environment = {
            **build.environment,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "PARLEY_SAMPLES": str(path),
            **changed,
        }
        with running(command, port, environment, build.folder) as server:
            yield Sampled(server, path)
