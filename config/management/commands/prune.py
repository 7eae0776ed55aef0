"""`manage.py prune`: deletes expired rows, once or as the worker does."""

import logging
import os
import threading
from typing import Any, NoReturn

from django.core.management.base import BaseCommand

from config.command_line import whole_number
from config.pruning import prune_all, prune_regularly
from config.stopping import when_told_to_stop

# Three years, in seconds.
LONGEST = 10**8


class Command(BaseCommand):
    """Prunes once, or at intervals."""

    help = "Delete the expired rows of all features."

    def add_arguments(self, parser: Any) -> None:
        """Take how many seconds to wait before the next run."""
        parser.add_argument("--every", type=whole_number(1, LONGEST), metavar="SECONDS")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune and say what was deleted; with --every until the process is told to stop."""
        if options["every"]:
            when_told_to_stop(_end)
            prune_regularly(threading.Event(), options["every"])
        for name, count in prune_all().items():
            self.stdout.write(f"{count} {name} deleted")


def _end() -> NoReturn:
    """End the process at once. A prune that is cut short is rolled back, and the next one finds the
    same rows. An exception would have to wait for a database that hangs."""
    logging.shutdown()
    os._exit(0)
