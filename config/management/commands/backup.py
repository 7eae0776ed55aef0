"""`manage.py backup`: writes all tables to one file, while the server runs."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.core.private import private_directory
from config.backup.errors import BackupError
from config.backup.making import make_backup
from config.secrets import signing_secrets
from config.stopping import exit_when_told_to_stop


class Command(BaseCommand):
    """Makes a backup."""

    help = (
        "Write all tables, as they are at one moment, to one file that only this account can read; "
        "by default in var/backups. The server may run meanwhile."
    )

    def add_arguments(self, parser: Any) -> None:
        """Take the file, and whether it holds the signing secrets."""
        parser.add_argument("file", nargs="?", type=Path)
        parser.add_argument(
            "--with-secrets",
            action="store_true",
            help="Add APP_SECRET_KEY and JWT_SECRET: who has the file can then be any user.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the backup and say what is in it."""
        path = options["file"] or _default_path()
        secrets = signing_secrets() if options["with_secrets"] else None
        try:
            with exit_when_told_to_stop("Stopped: no backup was made."):
                made = make_backup(path, secrets)
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}.") from error
        if options["verbosity"]:
            rows = sum(table.rows for table in made.tables)
            size = path.stat().st_size / 1e6
            self.stdout.write(
                f"{path}: {rows:,} rows of {len(made.tables)} tables, {size:,.1f} MB."
            )


def _default_path() -> Path:
    folder = settings.DATA_DIR / "backups"
    private_directory(folder)
    return Path(folder / f"parley-{timezone.now():%Y%m%dT%H%M%SZ}.zip")
