"""Making a backup."""

from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from config.backup.archive import Manifest, NewArchive, new_file
from config.backup.rows import rows_of_database
from config.backup.tables import applied_migrations, tables_after


def make_backup(path: Path, secrets: Mapping[str, str] | None = None) -> Manifest:
    """Write all tables as they are at one moment to a new archive, while others write on, and
    return its manifest; raise BackupError, or OSError of a disk that is full.

    `secrets` are added if they are given.
    """
    rows = rows_of_database()
    with new_file(path) as file, rows.snapshot():
        made_at = timezone.now()
        migrations = applied_migrations()
        archive = NewArchive(file)
        for table in tables_after(migrations):
            archive.add(table, rows.read(table))
        if secrets:
            archive.add_secrets(secrets)
        return archive.finish(
            version=settings.APP_VERSION,
            database=rows.vendor,
            made_at=made_at,
            migrations=migrations,
        )
