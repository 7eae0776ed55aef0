"""`manage.py serve`: the server, with REST and websockets on one port, in one or more processes."""

import argparse
import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any

import structlog
import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, OutputWrapper
from django.db import DEFAULT_DB_ALIAS, Error, connections

from apps.core.features import features
from apps.core.http.connections import raise_file_limit
from apps.core.logs import log_instead_of_printing
from apps.jobs.worker import Worker
from apps.realtime.transport import UVICORN
from config.banner import banner
from config.command_line import whole_number
from config.database_problems import on_sqlite
from config.draining import DrainingServer
from config.listening import CannotListen, bind, bind_shared, listen
from config.migrating import lacking, pending_migrations, wait_for_database
from config.reloading import Reloader
from config.stopping import LAST_LINE_SECONDS, end, when_told_to_stop
from config.supervised import Inherited, end_with_supervisor, serve_supervised
from config.supervisor import Supervisor

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
        """Take the port and the number of processes, instead of SERVER_PORT and WEB_CONCURRENCY,
        and what to do first."""
        ports, processes = whole_number(1, 65535), whole_number(1, MOST_PROCESSES)
        parser.add_argument("--port", type=ports, default=settings.SERVER_PORT)
        parser.add_argument("--processes", type=processes, default=settings.WEB_CONCURRENCY)
        parser.add_argument("--wait", action="store_true", help="Wait until the database answers.")
        parser.add_argument("--migrate", action="store_true", help="Apply all migrations first.")
        parser.add_argument("--reload", action="store_true", help="Start again after changes.")
        parser.add_argument(
            "--without-jobs", action="store_true", help="Leave the jobs to manage.py worker."
        )
        # The file descriptors that a supervisor gives to each process that it starts.
        parser.add_argument("--inherited", type=Inherited.from_text, help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the server and end the process, with exit code 1 if the server could not start."""
        if options["reload"]:
            sys.exit(Reloader(self.stderr.write).run())
        raise_file_limit()
        log_instead_of_printing()
        # What runs from here on has its own way to stop, and replaces this.
        when_told_to_stop(lambda: end(0, "Stopped.", self.stdout))
        inherited = options["inherited"]
        if inherited:
            # The supervisor speaks for all processes.
            self.stdout = self.stderr = OutputWrapper(inherited.link.makefile("w"))
            failure = _lacking_by_now() or serve(
                [inherited.listener], options["without_jobs"], inherited
            )
        else:
            failure = self._start(**options)
        if failure:
            end(1, failure, self.stderr)
        end(0, "Stopped.", self.stdout)

    def _start(
        self,
        *,
        port: int,
        processes: int,
        wait: bool,
        migrate: bool,
        without_jobs: bool,
        **_: Any,
    ) -> str:
        """Take the port, prepare the database, say so and serve. Return why that failed, or an
        empty string."""
        if processes > 1 and _embedded():
            return NEEDS_BACKENDS
        host = settings.SERVER_HOST
        try:
            listeners = bind_shared(host, port, processes) if processes > 1 else bind(host, port)
            if missing := self._prepare_database(wait=wait, migrate=migrate):
                return missing
            if processes == 1:
                listen(host, port, listeners)
        except CannotListen as reason:
            return str(reason)
        self.stdout.write(banner(port, processes))
        self.stdout.flush()
        if processes > 1:
            return asyncio.run(Supervisor(listeners, _stop_seconds()).run())
        return serve(listeners, without_jobs)

    def _prepare_database(self, *, wait: bool, migrate: bool) -> str:
        """Return what the database lacks, or an empty string. Raises the error of a database that
        cannot be used."""
        connection = connections[DEFAULT_DB_ALIAS]
        if wait:
            wait_for_database(connection, self.stderr.write)
        if migrate:
            call_command("migrate", verbosity=0, skip_checks=True, stderr=self.stderr)
        pending = pending_migrations()
        connection.close()
        return lacking(pending)


def serve(
    listeners: Sequence[socket.socket], without_jobs: bool, inherited: Inherited | None = None
) -> str:
    """Serve on the listeners in this process until told to stop, and do jobs unless told not to.
    Return why the server failed, or an empty string."""
    config = uvicorn.Config(
        "config.asgi:application",
        **UVICORN,
    )
    server = DrainingServer(config)

    def stop() -> None:
        server.should_exit = True

    # While uvicorn runs it handles the signals itself. Before that, and when it raises them
    # again after its end, they come here and must not prevent the rest of this function.
    when_told_to_stop(stop)
    # A terminal that closes, or an operator who wants new settings and has it started again.
    if not inherited and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: stop())
    if inherited:
        end_with_supervisor(inherited.link, stop, _stop_seconds())
    worker = None if without_jobs else Worker()
    if worker is not None:
        worker.start()
    failure = _run(server, config, listeners, inherited)
    # A server that never served has nothing to save.
    if server.started:
        _run_at_stop(worker)
    return failure


def _lacking_by_now() -> str:
    """Return what the database lacks for this process, whose release may be newer than that of its
    supervisor; nothing if it cannot be asked: health says that, and it may be back soon."""
    try:
        return lacking(pending_migrations())
    except Error:
        return ""
    finally:
        connections[DEFAULT_DB_ALIAS].close()


def _stop_seconds() -> float:
    """Return how long a process may take to stop: for its clients, for tasks that were cancelled,
    for the steps of the features and for the last line, and a second more."""
    return 2 * settings.SERVER_SHUTDOWN_TIMEOUT + CANCELLED_SECONDS + LAST_LINE_SECONDS + 1


def _embedded() -> bool:
    return not settings.REDIS_URL or on_sqlite()


def _run(
    server: uvicorn.Server,
    config: uvicorn.Config,
    listeners: Sequence[socket.socket],
    inherited: Inherited | None,
) -> str:
    """Serve until told to stop. Return why the server failed, or an empty string."""
    # Not uvicorn's run(), which waits for every cancelled task before it closes the loop: a task
    # may wait for a Redis that hangs.
    runner = asyncio.Runner(loop_factory=config.get_loop_factory())
    try:
        runner.run(_serve(server, listeners, inherited))
    except SystemExit:
        return _why_it_could_not_start()
    except Exception as error:
        log.critical("the server failed", exc_info=True)
        return f"The server failed: {type(error).__name__}: {error}"
    return ""


async def _serve(
    server: uvicorn.Server, listeners: Sequence[socket.socket], inherited: Inherited | None
) -> None:
    """Serve until told to stop, then wait a moment for the tasks that were cancelled."""
    if inherited:
        await serve_supervised(server, inherited)
    else:
        await server.serve(sockets=list(listeners))
    if cancelled := set(server.server_state.tasks):
        await asyncio.wait(cancelled, timeout=CANCELLED_SECONDS)


def _run_at_stop(worker: Worker | None) -> None:
    """Give back the jobs that are not done in a moment, and run what each feature does at the end,
    for no longer than the shutdown time."""

    def run() -> None:
        _steps_of_features()
        if worker is not None:
            worker.stop(CANCELLED_SECONDS)
        _stop_metrics()

    steps = threading.Thread(target=run, name="at stop", daemon=True)
    steps.start()
    steps.join(settings.SERVER_SHUTDOWN_TIMEOUT)


def _steps_of_features() -> None:
    for label, feature in features().items():
        for step in feature.at_stop:
            try:
                step()
            except Exception:
                log.warning("a step at the stop failed", feature=label, exc_info=True)


def _stop_metrics() -> None:
    from config.asgi import metrics

    metrics.stop()


def _why_it_could_not_start() -> str:
    from config.asgi import lifespan

    return lifespan.failure
