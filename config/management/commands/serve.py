"""`manage.py serve`: the server, with REST and websockets on one port, in one or more processes."""

import argparse
import asyncio
import threading
from typing import Any

import structlog
import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, OutputWrapper

from apps.core.features import features
from apps.core.http.connections import raise_file_limit
from apps.core.logs import log_instead_of_printing
from apps.realtime.transport import UVICORN
from config.pruning import start_pruning
from config.start_notices import start_notices
from config.stopping import LAST_LINE_SECONDS, end, when_told_to_stop
from config.supervised import Inherited, end_with_supervisor, serve_supervised
from config.supervisor import Supervisor, bind

log = structlog.get_logger(__name__)

# How long requests and sockets that were cancelled at the end of the shutdown time may take to end.
CANCELLED_SECONDS = 1


MOST_PROCESSES = 100
NEEDS_BACKENDS = (
    "Several processes need PostgreSQL and Redis: set DATABASE_URL and REDIS_URL, "
    "or serve in one process (WEB_CONCURRENCY=1)."
)


class Command(BaseCommand):
    """Serves until it is told to stop."""

    help = "Serve REST and websockets on SERVER_HOST:SERVER_PORT."

    def add_arguments(self, parser: Any) -> None:
        """Take the port and the number of processes, instead of SERVER_PORT and WEB_CONCURRENCY."""
        parser.add_argument("--port", type=int, default=settings.SERVER_PORT)
        parser.add_argument("--processes", type=_processes, default=settings.WEB_CONCURRENCY)
        # The file descriptors that a supervisor gives to each process that it starts.
        parser.add_argument("--inherited", type=Inherited.from_text, help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the server and end the process, with exit code 1 if the server could not start."""
        raise_file_limit()
        log_instead_of_printing()
        # What runs from here on has its own way to stop, and replaces this.
        when_told_to_stop(lambda: end(0, "Stopped.", self.stdout))
        port, processes, inherited = options["port"], options["processes"], options["inherited"]
        if inherited:
            # The supervisor speaks for all processes.
            self.stdout = self.stderr = OutputWrapper(inherited.link.makefile("w"))
            failure = serve(port, inherited)
        elif processes > 1 and _embedded():
            failure = NEEDS_BACKENDS
        else:
            self._say_where(port, processes)
            failure = supervise(port, processes) if processes > 1 else serve(port)
        if failure:
            end(1, failure, self.stderr)
        end(0, "Stopped.", self.stdout)

    def _say_where(self, port: int, processes: int) -> None:
        several = f" in {processes} processes" if processes > 1 else ""
        self.stdout.write(f"Parley {settings.APP_VERSION} on http://localhost:{port}{several}")
        self.stdout.write(f"  docs   http://localhost:{port}/docs/index.html")
        self.stdout.write(f"  admin  http://localhost:{port}/admin/")
        self.stdout.write(f"  data   {_where()}")
        for notice in start_notices():
            self.stdout.write(notice)
        self.stdout.flush()


def serve(port: int, inherited: Inherited | None = None) -> str:
    """Serve in this process until told to stop, on the port or on what a supervisor gave it. Return
    why the server failed, or an empty string."""
    config = uvicorn.Config(
        "config.asgi:application",
        host=settings.SERVER_HOST,
        port=port,
        timeout_graceful_shutdown=settings.SERVER_SHUTDOWN_TIMEOUT,
        **UVICORN,
    )
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    # While uvicorn runs it handles the signals itself. Before that, and when it raises them
    # again after its end, they come here and must not prevent the rest of this function.
    when_told_to_stop(stop)
    if inherited:
        end_with_supervisor(inherited.link, stop, _stop_seconds())
    stop_pruning = threading.Event()
    if not settings.REDIS_URL:
        # The installation has one process, which does the work of the worker too.
        start_pruning(stop_pruning)
    failure = _run(server, config, port, inherited)
    stop_pruning.set()
    # A server that never served has nothing to save, and may have no tables to save it in.
    if server.started:
        _run_at_stop()
    return failure


def supervise(port: int, processes: int) -> str:
    """Have so many processes serve on the port until told to stop. Return why that failed, or an
    empty string."""
    try:
        listeners = bind(settings.SERVER_HOST, port, processes)
    except OSError:
        return _port_in_use(port)
    return asyncio.run(Supervisor(listeners, _stop_seconds()).run())


def _stop_seconds() -> float:
    """Return how long a process may take to stop: for its clients, for tasks that were cancelled,
    for the steps of the features and for the last line, and a second more."""
    return 2 * settings.SERVER_SHUTDOWN_TIMEOUT + CANCELLED_SECONDS + LAST_LINE_SECONDS + 1


def _processes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"use a whole number from 1 to {MOST_PROCESSES}.")
    return int(text)


def _embedded() -> bool:
    return not settings.REDIS_URL or _on_sqlite()


def _on_sqlite() -> bool:
    return str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")


def _run(
    server: uvicorn.Server, config: uvicorn.Config, port: int, inherited: Inherited | None
) -> str:
    """Serve until told to stop. Return why the server failed, or an empty string."""
    # Not uvicorn's run(), which waits for every cancelled task before it closes the loop: a task
    # may wait for a Redis that hangs.
    runner = asyncio.Runner(loop_factory=config.get_loop_factory())
    try:
        runner.run(_serve(server, inherited))
    except SystemExit:
        return _why_it_could_not_start(port)
    except Exception as error:
        log.critical("the server failed", exc_info=True)
        return f"The server failed: {type(error).__name__}: {error}"
    return ""


async def _serve(server: uvicorn.Server, inherited: Inherited | None) -> None:
    """Serve until told to stop, then wait a moment for the tasks that were cancelled."""
    await (serve_supervised(server, inherited) if inherited else server.serve())
    if cancelled := set(server.server_state.tasks):
        await asyncio.wait(cancelled, timeout=CANCELLED_SECONDS)


def _run_at_stop() -> None:
    """Run what each feature does at the end, for no longer than the shutdown time."""
    steps = threading.Thread(target=_steps_of_features, name="at stop", daemon=True)
    steps.start()
    steps.join(settings.SERVER_SHUTDOWN_TIMEOUT)


def _steps_of_features() -> None:
    for label, feature in features().items():
        for step in feature.at_stop:
            try:
                step()
            except Exception:
                log.warning("a step at the stop failed", feature=label, exc_info=True)


def _why_it_could_not_start(port: int) -> str:
    from config.asgi import lifespan

    return lifespan.failure or _port_in_use(port)


def _port_in_use(port: int) -> str:
    return f"Could not serve on port {port}. Set SERVER_PORT to a free one."


def _where() -> str:
    database = settings.DATABASES["default"]
    if _on_sqlite():
        where = f"SQLite in {database['NAME']}"
    else:
        where = f"PostgreSQL at {database['HOST']}:{database['PORT']}/{database['NAME']}"
    return f"{where}, {'Redis' if settings.REDIS_URL else 'everything else in this process'}"
