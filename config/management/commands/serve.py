"""The server: REST and websockets on one port."""

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

# Seconds that requests and sockets which did not end in time get to leave.
LAST_MOMENT = 1


class Command(BaseCommand):
    """Serves until it is told to stop."""

    help = "Serve REST and websockets on SERVER_HOST:SERVER_PORT."

    def add_arguments(self, parser: Any) -> None:
        """Take another port than SERVER_PORT's, for a second process on the same machine."""
        parser.add_argument("--port", type=int, default=settings.SERVER_PORT)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the server and end the process, with 1 when it could not be started."""
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
        # While uvicorn runs it listens to the signals itself; before that, and when it raises them
        # again after its end, they come here and must not keep us from what is left to do.
        when_told_to_stop(lambda: setattr(server, "should_exit", True))
        self.stdout.write(f"Parley {settings.APP_VERSION} on http://localhost:{options['port']}")
        self.stdout.write(f"  docs   http://localhost:{options['port']}/docs/index.html")
        self.stdout.write(f"  data   {_where()}")
        self.stdout.flush()
        stop = threading.Event()
        if not settings.REDIS_URL:
            # One process is all there is: it does the worker's work as well.
            start_pruning(stop)
        failure = _run(server, config, options["port"])
        stop.set()
        # One that never served has nothing to save, and perhaps no tables to save it in.
        if server.started:
            _save_what_is_in_memory()
        if failure:
            end(1, failure, self.stderr)
        end(0, "Stopped.", self.stdout)


def _run(server: uvicorn.Server, config: uvicorn.Config, port: int) -> str:
    """Serve until told to stop. Return why it could not, or nothing."""
    # Not uvicorn's run(): when the loop is closed it waits for every task that was cancelled, and
    # one may wait for a Redis that hangs.
    runner = asyncio.Runner(loop_factory=config.get_loop_factory())
    try:
        runner.run(_serve(server))
    except SystemExit:
        return _why_not(port)
    except Exception as error:
        log.critical("the server failed", exc_info=True)
        return f"The server failed: {type(error).__name__}: {error}"
    return ""


async def _serve(server: uvicorn.Server) -> None:
    """Serve until told to stop, and give what had to be cut short then a moment to end."""
    await server.serve()
    if cut_short := set(server.server_state.tasks):
        await asyncio.wait(cut_short, timeout=LAST_MOMENT)


def _save_what_is_in_memory() -> None:
    """Do what each feature does at the end, unless the database hangs."""
    saving = threading.Thread(target=_save, name="last flush", daemon=True)
    saving.start()
    saving.join(settings.SERVER_SHUTDOWN_TIMEOUT)


def _save() -> None:
    for label, feature in features().items():
        for save in feature.at_stop:
            try:
                save()
            except Exception:
                log.warning("not saved at the end", feature=label, exc_info=True)


def _why_not(port: int) -> str:
    from config.asgi import lifespan

    return lifespan.failure or f"Could not serve on port {port}. Set SERVER_PORT to a free one."


def _where() -> str:
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        where = f"SQLite in {database['NAME']}"
    else:
        where = f"PostgreSQL at {database['HOST']}:{database['PORT']}/{database['NAME']}"
    return f"{where}, {'Redis' if settings.REDIS_URL else 'everything else in this process'}"
