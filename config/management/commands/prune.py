"""Deleting what nobody may count on any more, as a command or as the worker's work."""

import logging
import os
import threading
from typing import Any, NoReturn

from django.core.management.base import BaseCommand

from config.pruning import prune_all, prune_regularly
from config.stopping import when_told_to_stop


class Command(BaseCommand):
    """Prunes once, or again and again."""

    help = "Delete expired events, sessions, tickets, idempotency keys and views."

    def add_arguments(self, parser: Any) -> None:
        """Take how many seconds to wait before doing it again."""
        parser.add_argument("--every", type=int, metavar="SECONDS")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune and say what was deleted; with --every until the process is told to stop."""
        if options["every"]:
            when_told_to_stop(_end)
            prune_regularly(threading.Event(), options["every"])
        for name, count in prune_all().items():
            self.stdout.write(f"{count} {name} deleted")


def _end() -> NoReturn:
    """End the process at once. A prune that is cut short is rolled back, and the next one finds the
    same rows; an exception would wait with it for a database that hangs."""
    logging.shutdown()
    os._exit(0)
