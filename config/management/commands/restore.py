"""`manage.py restore`: replaces the database by that of a backup."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from config.backup.archive import Archive
from config.backup.errors import BackupError, listed
from config.backup.restoring import Restored, require_restorable, restore, rows_present
from config.secrets import keep_secrets, require_usable
from config.stopping import exit_when_told_to_stop


class Command(BaseCommand):
    """Restores a backup."""

    help = (
        "Replace the database by that of a backup, of either kind of database, and bring it up to "
        "date. Stop all processes first. Until the end nothing is changed."
    )

    def add_arguments(self, parser: Any) -> None:
        """Take the file, and how far to go."""
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--check", action="store_true", help="Only say whether it is whole and can be restored."
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help="Delete the rows of the database, after a question.",
        )
        parser.add_argument(
            "--no-input", action="store_false", dest="ask", help="With --force: do not ask."
        )
        parser.add_argument(
            "--with-secrets",
            action="store_true",
            help="Use the signing secrets of the backup from now on, too.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore the backup and say what was done."""
        try:
            archive = Archive(options["file"])
            self._describe(archive)
            if options["check"]:
                archive.check()
                require_restorable(archive)
                self.stdout.write("It is whole, and can be restored.")
                return
            secrets = _secrets_of(archive) if options["with_secrets"] else {}
            if options["force"] and options["ask"]:
                self._ask(rows_present())
            done = _restore(archive, overwrite=options["force"])
        except BackupError as error:
            raise CommandError(str(error)) from error
        keep_secrets(secrets)
        # Django adds what it knows of new tables.
        call_command("migrate", verbosity=0)
        self._report(done)

    def _describe(self, archive: Archive) -> None:
        made = archive.manifest
        self.stdout.write(
            f"{archive.path} was made on {made.made_at:%Y-%m-%d at %H:%M:%S} UTC by Parley "
            f"{made.version} from {made.database}."
        )

    def _ask(self, lost: Mapping[str, int]) -> None:
        if not lost:
            return
        self.stdout.write(f"These rows of the database will be lost: {listed(lost)}.")
        if not sys.stdin.isatty():
            raise BackupError("Nobody can be asked here. To go on without a question: --no-input.")
        if input("Type yes to go on: ").strip().lower() != "yes":
            raise BackupError("Nothing was changed.")

    def _report(self, done: Restored) -> None:
        self.stdout.write(f"{done.rows:,} rows are restored, and compared with the backup.")
        if done.migrated:
            self.stdout.write(f"{done.migrated} migrations that are newer were applied.")
        for name, count in done.steps.items():
            self.stdout.write(f"{count:,} {name}.")


def _restore(archive: Archive, *, overwrite: bool) -> Restored:
    """Restore, or raise BackupError with what the database says."""
    try:
        with exit_when_told_to_stop("Stopped: the database is as it was."):
            return restore(archive, overwrite=overwrite)
    except DatabaseError as error:
        sentence = str(error).partition("\n")[0]
        raise BackupError(
            f"The database did not take it, and is as it was: {sentence}. "
            "If processes still use it, stop them."
        ) from error
    except OSError as error:
        raise BackupError(f"The database is as it was: {error}.") from error


def _secrets_of(archive: Archive) -> dict[str, str]:
    """Return its secrets; raise BackupError if there are none, or settings give others."""
    secrets = archive.secrets()
    if secrets is None:
        raise BackupError(f"{archive.path} holds no secrets: leave out --with-secrets.")
    require_usable(secrets)
    return secrets
