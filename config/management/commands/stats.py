"""`manage.py stats`: how much there is of everything."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from apps.core.features import counts

SIZES = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


class Command(BaseCommand):
    """Counts."""

    help = "Say how many users, posts, messages and so on there are, and how large the database is."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the format."""
        parser.add_argument("--json", action="store_true", help="for programs; sizes are in bytes")

    def handle(self, *args: Any, **options: Any) -> None:
        """Count and print."""
        found = {name: count() for name, count in counts().items()}
        size = _database_size()
        if options["json"]:
            self.stdout.write(json.dumps({**found, "database_bytes": size}))
            return
        for name, value in found.items():
            self.stdout.write(f"{name:15}{_described(value)}")
        self.stdout.write(f"{'database':15}{size / 1e6:,.1f} MB")


def _described(value: int | Mapping[str, int]) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    parts = ", ".join(f"{count:,} {kind}" for kind, count in value.items())
    return f"{sum(value.values()):,} ({parts})" if parts else "0"


def _database_size() -> int:
    with connection.cursor() as cursor:
        cursor.execute(SIZES[connection.vendor])
        return int(cursor.fetchone()[0])
