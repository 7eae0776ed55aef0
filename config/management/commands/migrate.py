"""`manage.py migrate`: Django's, by one process at a time."""

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.db import connections

from config.migrating import migration_lock, wait_for_database


class Command(migrate.Command):
    """Any number of processes may run it at once; those that come later find nothing to do."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take --wait in addition to Django's."""
        super().add_arguments(parser)
        parser.add_argument("--wait", action="store_true", help="Wait until the database answers.")

    def execute(self, *args: Any, **options: Any) -> Any:
        """Migrate under the lock. The checks before it open the database too."""
        connection = connections[options["database"]]
        if options["wait"]:
            wait_for_database(connection, self.stderr.write)
        with migration_lock(connection, self.stderr.write):
            return super().execute(*args, **options)
