"""`manage.py serve`: the server, with REST and websockets on one port."""

import asyncio
import threading
from typing import Any

import structlog
import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand

from apps.core.features import features
from apps.core.http.connections import raise_file_limit
from apps.core.logs import log_instead_of_printing
from apps.realtime.transport import UVICORN
from config.pruning import start_pruning
from config.stopping import end, when_told_to_stop

log = structlog.get_logger(__name__)

# How long requests and sockets that were cancelled at the end of the shutdown time may take to end.
CANCELLED_SECONDS = 1


class Command(BaseCommand):
    """Serves until it is told to stop."""

    help = "Serve REST and websockets on SERVER_HOST:SERVER_PORT."

    def add_arguments(self, parser: Any) -> None:
        """Take a port, for a second process on the same machine; SERVER_PORT is the default."""
        parser.add_argument("--port", type=int, default=settings.SERVER_PORT)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the server and end the process, with exit code 1 if the server could not start."""
        raise_file_limit()
        log_instead_of_printing()
        config = uvicorn.Config(
            "config.asgi:application",
            host=settings.SERVER_HOST,
            port=options["port"],
            timeout_graceful_shutdown=settings.SERVER_SHUTDOWN_TIMEOUT,
            **UVICORN,
        )
        server = uvicorn.Server(config)
        # While uvicorn runs it handles the signals itself. Before that, and when it raises them
        # again after its end, they come here and must not prevent the rest of this method.
        when_told_to_stop(lambda: setattr(server, "should_exit", True))
        self.stdout.write(f"Parley {settings.APP_VERSION} on http://localhost:{options['port']}")
        self.stdout.write(f"  docs   http://localhost:{options['port']}/docs/index.html")
        self.stdout.write(f"  data   {_where()}")
        self.stdout.flush()
        stop = threading.Event()
        if not settings.REDIS_URL:
            # The installation has one process, which does the work of the worker too.
            start_pruning(stop)
        failure = _run(server, config, options["port"])
        stop.set()
        # A server that never served has nothing to save, and may have no tables to save it in.
        if server.started:
            _run_at_stop()
        if failure:
            end(1, failure, self.stderr)
        end(0, "Stopped.", self.stdout)


def _run(server: uvicorn.Server, config: uvicorn.Config, port: int) -> str:
    """Serve until told to stop. Return why the server failed, or an empty string."""
    # Not uvicorn's run(), which waits for every cancelled task before it closes the loop: a task
    # may wait for a Redis that hangs.
    runner = asyncio.Runner(loop_factory=config.get_loop_factory())
    try:
        runner.run(_serve(server))
    except SystemExit:
        return _why_it_could_not_start(port)
    except Exception as error:
        log.critical("the server failed", exc_info=True)
        return f"The server failed: {type(error).__name__}: {error}"
    return ""


async def _serve(server: uvicorn.Server) -> None:
    """Serve until told to stop, then wait a moment for the tasks that were cancelled."""
    await server.serve()
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

    return lifespan.failure or f"Could not serve on port {port}. Set SERVER_PORT to a free one."


def _where() -> str:
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        where = f"SQLite in {database['NAME']}"
    else:
        where = f"PostgreSQL at {database['HOST']}:{database['PORT']}/{database['NAME']}"
    return f"{where}, {'Redis' if settings.REDIS_URL else 'everything else in this process'}"
