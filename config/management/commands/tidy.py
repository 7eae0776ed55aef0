"""Deleting what nobody may count on any more."""

import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections

from apps.accounts.services import accounts_prune
from apps.core.idempotency import idempotency_keys_prune
from apps.posts.viewing import views_prune
from apps.realtime.log import events_prune

PRUNES = {
    "events": events_prune,
    "sessions and tickets": accounts_prune,
    "idempotency keys": idempotency_keys_prune,
    "views": views_prune,
}


class Command(BaseCommand):
    """Prunes once, or again and again."""

    help = "Delete expired events, sessions, tickets, idempotency keys and views."

    def add_arguments(self, parser: Any) -> None:
        """Take how many seconds to wait before doing it again."""
        parser.add_argument("--every", type=int, metavar="SECONDS")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune and say what was deleted."""
        while True:
            close_old_connections()
            for name, prune in PRUNES.items():
                self.stdout.write(f"{prune()} {name} deleted")
            if not options["every"]:
                return
            time.sleep(options["every"])
