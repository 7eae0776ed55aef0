"""Django's own command, which would store any password that it is given without a terminal."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Replaces Django's command with a hint."""

    help = "Use create_admin instead."

    def run_from_argv(self, argv: list[str]) -> None:
        """Drop the arguments, which are Django's."""
        super().run_from_argv(argv[:2])

    def handle(self, *args: Any, **options: Any) -> None:
        """Name the command that takes its place."""
        raise CommandError("Make an administrator with: manage.py create_admin")
