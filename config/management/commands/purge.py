"""`manage.py purge`: removes for good what its users deleted long ago.

`prune` deletes what expires by itself and asks nobody. A deleted post or message is in its row
still, so that a moderator can look at it and restore it; after a purge nobody can.
"""

import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from apps.core.features import Purge, purges
from config.command_line import whole_number

REMOVED_AT_ONCE = 1_000
# Days; a hundred years.
LONGEST = 36_500


class Command(BaseCommand):
    """Purges."""

    help = "Remove for good what was deleted some time ago: posts, and the words of messages."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take how long ago, and whether to do it."""
        parser.add_argument(
            "--days",
            type=whole_number(0, LONGEST),
            default=90,
            help="deleted so many days ago or earlier (90)",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say how many there are.")
        parser.add_argument("--no-input", action="store_false", dest="ask", help="Do not ask.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what would be removed, ask, and remove it."""
        before = timezone.now() - timedelta(days=options["days"])
        found = {name: purge.found(before).count() for name, purge in purges().items()}
        for name, count in found.items():
            self.stdout.write(f"{count:,} {name} of {options['days']} days ago or earlier")
        if options["dry_run"] or not any(found.values()):
            return
        if options["ask"]:
            _ask()
        for name, purge in purges().items():
            self.stdout.write(f"{_remove(purge, before):,} {name} removed")


def _ask() -> None:
    if not sys.stdin.isatty():
        raise CommandError("Nobody can be asked here. To go on without a question: --no-input.")
    if input("They cannot be restored then. Type yes to go on: ").strip().lower() != "yes":
        raise CommandError("Nothing was changed.")


def _remove(purge: Purge, before: Any) -> int:
    """Remove in parts, so that no transaction is long, and return how many there were."""
    removed = 0
    while part := list(purge.found(before).values_list("pk", flat=True)[:REMOVED_AT_ONCE]):
        with transaction.atomic():
            # Looked for again under the locks: a moderator may have restored one.
            removed += purge.remove(purge.found(before).filter(pk__in=part))
    return removed
