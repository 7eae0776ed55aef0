"""Deleting what nobody may count on any more, as a command or as the worker's work."""

import time
from typing import Any

from django.core.management.base import BaseCommand

from config.tidying import tidy


class Command(BaseCommand):
    """Prunes once, or again and again."""

    help = "Delete expired events, sessions, tickets, idempotency keys and views."

    def add_arguments(self, parser: Any) -> None:
        """Take how many seconds to wait before doing it again."""
        parser.add_argument("--every", type=int, metavar="SECONDS")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune and say what was deleted."""
        while True:
            for name, count in tidy().items():
                self.stdout.write(f"{count} {name} deleted")
            if not options["every"]:
                return
            time.sleep(options["every"])
