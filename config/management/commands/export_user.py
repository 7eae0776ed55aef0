"""`manage.py export_user`: writes all that is kept of a user to a zip."""

from pathlib import Path
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.user_export import export_user
from config.written_files import dated_path, writing


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
        path = options["file"] or dated_path("exports", str(user_id))
        with writing(path, "Stopped: no file was made."):
            rows = export_user(user_id, path)
        described = ", ".join(f"{count:,} in {name}" for name, count in rows.items())
        self.stdout.write(f"{path}: {described}.")


def _id_of(name: str) -> UUID:
    users: Any = get_user_model()._default_manager
    try:
        found = users.filter(pk=UUID(name)).first()
    except ValueError:
        try:
            found = users.get_by_natural_key(name)
        except (users.model.DoesNotExist, ValidationError):
            found = None
    if found is None:
        raise CommandError(f"There is no user {name}.")
    user_id: UUID = found.pk
    return user_id
