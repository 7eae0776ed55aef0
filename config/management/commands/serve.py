"""The server: REST and websockets on one port."""

import threading
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.realtime.transport import UVICORN
from config.tidying import tidy_beside


class Command(BaseCommand):
    """Serves until it is told to stop."""

    help = "Serve REST and websockets on SERVER_HOST:SERVER_PORT."

    def add_arguments(self, parser: Any) -> None:
        """Take another port than SERVER_PORT's, for a second process on the same machine."""
        parser.add_argument("--port", type=int, default=settings.SERVER_PORT)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the server; raise CommandError when the port is taken."""
        from apps.posts.viewing import view_counter

        config = uvicorn.Config(
            "config.asgi:application",
            host=settings.SERVER_HOST,
            port=options["port"],
            timeout_graceful_shutdown=settings.SERVER_SHUTDOWN_TIMEOUT,
            **UVICORN,
        )
        server = uvicorn.Server(config)
        self.stdout.write(f"Parley {settings.APP_VERSION} on http://localhost:{options['port']}")
        self.stdout.write(f"  docs   http://localhost:{options['port']}/docs/index.html")
        self.stdout.write(f"  data   {_where()}")
        self.stdout.flush()
        stop = threading.Event()
        if not settings.REDIS_URL:
            # One process is all there is: it does the worker's work as well.
            tidy_beside(stop)
        try:
            server.run()
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
        except SystemExit as exit_:
            raise CommandError(
                f"Could not serve on port {options['port']}. Set SERVER_PORT to a free one."
            ) from exit_
        finally:
            stop.set()
            view_counter.flush()


def _where() -> str:
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        where = f"SQLite in {database['NAME']}"
    else:
        where = f"PostgreSQL at {database['HOST']}:{database['PORT']}/{database['NAME']}"
    return f"{where}, {'Redis' if settings.REDIS_URL else 'everything else in this process'}"
