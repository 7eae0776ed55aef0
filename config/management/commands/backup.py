"""`manage.py backup`: writes all tables to one file, while the server runs."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from config.backup.making import make_backup
from config.secrets import signing_secrets
from config.written_files import dated_path, writing


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
            help="Add the signing secrets: who has the file can then be any user.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the backup and say what is in it."""
        path = options["file"] or dated_path("backups", "parley")
        secrets = signing_secrets() if options["with_secrets"] else None
        with writing(path, "Stopped: no backup was made."):
            made = make_backup(path, secrets)
        if options["verbosity"]:
            rows = sum(table.rows for table in made.tables)
            size = path.stat().st_size / 1e6
            self.stdout.write(
                f"{path}: {rows:,} rows of {len(made.tables)} tables, {size:,.1f} MB."
            )
