"""The step after a restore of the database that realtime clients need."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.realtime.event_log import epochs_renew


class Command(BaseCommand):
    """Renews the epochs once; it may be repeated, and costs each client a fetch."""

    help = "After a restore of the database: have realtime clients fetch their state anew."

    def handle(self, *args: Any, **options: Any) -> None:
        """Begin a new life of every stream."""
        count = epochs_renew()
        if options["verbosity"]:
            self.stdout.write(f"{count} streams have a new epoch.")
