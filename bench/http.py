"""What the hop from the ASGI server to Django's WSGI handler costs, compared with WSGI servers."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from bench.load import Load, request
from bench.report import Report, median_of, spread
from bench.servers import Backend, Server, free_port, parley, running, same_uvicorn, start_backend
from bench.turns import Turns, in_turn, side

SETTINGS = "bench.settings"
SECONDS = 1
ROUNDS = 7
LIMIT, FASTEST = "gunicorn", "granian"


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "http", "REST through the one-port server", f"at least 0.8 x plain WSGI ({LIMIT})"
    )
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend())
        post = backend.posts(200)[100]
        paths = {
            "trivial view": "/trivial",
            "list of 10 posts": "/api/v1/posts?limit=10",
            "one post": f"/api/v1/posts/{post}",
        }
        threads = backend.setting("HTTP_THREADS")
        servers = {
            "Parley": stack.enter_context(parley(backend, SETTINGS)),
            "a2wsgi": stack.enter_context(_a2wsgi(backend)),
            LIMIT: stack.enter_context(gunicorn(backend, threads)),
            FASTEST: stack.enter_context(_granian(backend, threads)),
        }
        for what, path in paths.items():
            sides = {name: side(_load(server, path), server) for name, server in servers.items()}
            report.rows += rows(what, in_turn(sides, ROUNDS))
            print(*report.rows[-len(servers) :], sep="\n", flush=True)
    report.notes += [
        f"16 persistent connections; medians of {ROUNDS} turns of {SECONDS} s each, the servers "
        "in turn. Load, servers and databases share the cores.",
        "Parley is `manage.py serve`; a2wsgi the same uvicorn with that package in place of our "
        f"bridge; {LIMIT} (gthread) is the usual plain WSGI server, and {FASTEST} the fastest: its "
        f"HTTP is not Python. Each has one process, {threads} threads and the same WSGI "
        "application with all of its middleware. The limit per address is consumed as always, "
        "and never reached.",
        "Server cpu is the server's own processor time per request. It depends less than the "
        "rates on other programs of the machine.",
    ]
    return report


def rows(what: str, turns: Mapping[str, Turns]) -> list[dict[str, object]]:
    """Return the table's rows of one path."""
    rates = {name: [one.answered.per_second for one in found] for name, found in turns.items()}
    return [
        {
            "request": what,
            "server": name,
            "requests/s": median_of(rates[name]),
            "from..to": spread(rates[name]),
            f"/ {LIMIT}": median_of(rates[name]) / median_of(rates[LIMIT]),
            f"/ {FASTEST}": median_of(rates[name]) / median_of(rates[FASTEST]),
            "p50 ms": median_of([one.answered.p50 * 1000 for one in found]),
            "server cpu µs": median_of([one.server_cpu * 1e6 for one in found]),
        }
        for name, found in turns.items()
    ]


def _load(server: Server, path: str) -> Load:
    return Load([server.port], [request("GET", path)], seconds=SECONDS)


@contextmanager
def _a2wsgi(backend: Backend) -> Iterator[Server]:
    environment = {**backend.environment, "DJANGO_SETTINGS_MODULE": SETTINGS}
    with same_uvicorn("bench.other_bridge:application", environment) as server:
        yield server


@contextmanager
def gunicorn(backend: Backend, threads: int) -> Iterator[Server]:
    """Yield the usual plain WSGI server with the same application and one process."""
    port = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "config.wsgi", "--worker-class=gthread", "--workers=1",
        f"--threads={threads}", "--keep-alive=75", f"--bind=127.0.0.1:{port}",
    ]  # fmt: skip
    with _plain(command, port, backend) as server:
        yield server


@contextmanager
def _granian(backend: Backend, threads: int) -> Iterator[Server]:
    port = free_port()
    command = [
        sys.executable, "-m", "granian", "config.wsgi:application", "--interface=wsgi",
        "--host=127.0.0.1", f"--port={port}", "--workers=1", f"--blocking-threads={threads}",
        "--no-access-log",
    ]  # fmt: skip
    with _plain(command, port, backend) as server:
        yield server


@contextmanager
def _plain(command: Sequence[str], port: int, backend: Backend) -> Iterator[Server]:
    environment = {**backend.environment, "DJANGO_SETTINGS_MODULE": SETTINGS}
    with running(command, port, environment) as server:
        yield server
