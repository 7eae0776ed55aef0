"""`manage.py prune`: deletes expired rows at once, as a job does in each hour."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.jobs.upkeep import prune_all


class Command(BaseCommand):
    """Prunes."""

    help = "Delete the expired rows of all features."

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune and say what was deleted."""
        for name, count in prune_all().items():
            self.stdout.write(f"{count} {name} deleted")
