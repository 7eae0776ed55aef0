"""`manage.py renew_epochs`: to be run after a restore of the database."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.realtime.event_log import epochs_renew


class Command(BaseCommand):
    """Renews the epoch of every stream. A repetition only has each client fetch its state again."""

    help = "After a restore of the database: have realtime clients fetch their state anew."

    def handle(self, *args: Any, **options: Any) -> None:
        """Give every stream a new epoch."""
        count = epochs_renew()
        if options["verbosity"]:
            self.stdout.write(f"{count} streams have a new epoch.")
