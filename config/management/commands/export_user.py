"""`manage.py export_user`: writes all that is kept of a user to a zip."""

from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.core.private import private_directory
from config.backup.errors import BackupError
from config.stopping import exit_when_told_to_stop
from config.user_export import export_user


class Command(BaseCommand):
    """Exports a user."""

    help = (
        "Write all that is kept of a user to a zip that only this account can read; by default in "
        "var/exports. The server may run meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the user and the file."""
        parser.add_argument("user", help="their id or e-mail address")
        parser.add_argument("file", nargs="?", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file and say what is in it."""
        user_id = _id_of(options["user"])
        path = options["file"] or _default_path(user_id)
        try:
            with exit_when_told_to_stop("Stopped: no file was made."):
                rows = export_user(user_id, path)
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}.") from error
        described = ", ".join(f"{count:,} in {name}" for name, count in rows.items())
        self.stdout.write(f"{path}: {described}.")


def _id_of(name: str) -> UUID:
    users: Any = get_user_model()._default_manager
    try:
        found = users.filter(pk=UUID(name)).first()
    except ValueError:
        try:
            found = users.get_by_natural_key(name)
        except users.model.DoesNotExist:
            found = None
    if found is None:
        raise CommandError(f"There is no user {name}.")
    user_id: UUID = found.pk
    return user_id


def _default_path(user_id: UUID) -> Path:
    folder = settings.DATA_DIR / "exports"
    private_directory(folder)
    return Path(folder / f"{user_id}-{timezone.now():%Y%m%dT%H%M%SZ}.zip")
