"""Restoring a backup: in one transaction, so that a process that dies leaves what was there."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.db import connection
from django.db.migrations.loader import MigrationLoader

from apps.core.features import after_restore
from config.backup.archive import Archive, Measured, StoredTable
from config.backup.errors import BackupError, DatabaseHasRows
from config.backup.rows import Rows, rows_of_database
from config.backup.tables import (
    Table,
    apply_migrations,
    present_tables,
    require_known,
    tables_after,
)

# Migrating makes rows of these in an empty database.
MADE_BY_MIGRATING = {"django_migrations", "django_content_type", "auth_permission"}
# A SQLite database takes so many times the bytes of its rows as text, with its indexes and with the
# transaction that writes it.
SPACE = 4


@dataclass(frozen=True)
class Restored:
    """What a restore has done: rows that it wrote, migrations that it applied after that, and what
    the features did then, by its name."""

    rows: int
    migrated: int
    steps: Mapping[str, int]


def rows_present() -> dict[str, int]:
    """Return how many rows each table has that a restore would delete."""
    found = {}
    for name in sorted(set(present_tables()) - MADE_BY_MIGRATING):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(name)}")  # noqa: S608
            if count := cursor.fetchone()[0]:
                found[name] = count
    return found


def require_restorable(archive: Archive) -> None:
    """Raise BackupError if this code cannot restore the archive, or the disk has not the space."""
    manifest = archive.manifest
    require_known(MigrationLoader(None), manifest.migrations, f"{archive.path} is")
    expected = {table.name: list(table.columns) for table in tables_after(manifest.migrations)}
    if expected != {table.name: table.columns for table in manifest.tables}:
        raise BackupError(
            f"{archive.path} has other tables or columns than its migrations make: "
            "use the release that made it."
        )
    if connection.vendor == "sqlite":
        folder = Path(connection.settings_dict["NAME"]).parent
        needed = SPACE * sum(table.bytes for table in manifest.tables)
        if (free := shutil.disk_usage(folder).free) < needed:
            raise BackupError(
                f"A restore needs {needed / 1e6:,.0f} MB in {folder}, and {free / 1e6:,.0f} MB "
                "are free."
            )


def restore(archive: Archive, *, overwrite: bool) -> Restored:
    """Replace the database by the archive's and bring it up to date; raise BackupError, and
    DatabaseHasRows unless its rows may be lost.

    Everything happens in one transaction: until its end others see the database as it was before,
    and so does the next process if this one dies. The features do their part in it too, so that no
    restored database is ever served with the old epochs.
    """
    require_restorable(archive)
    rows = rows_of_database()
    with rows.replacing():
        lost = rows_present()
        if lost and not overwrite:
            raise DatabaseHasRows(lost)
        rows.drop(present_tables())
        apply_migrations(archive.manifest.migrations)
        _write(archive, rows)
        connection.check_constraints()
        migrated = apply_migrations()
        made_at = archive.manifest.made_at
        steps = {name: step(made_at) for name, step in after_restore().items()}
    return Restored(sum(table.rows for table in archive.manifest.tables), migrated, steps)


def _write(archive: Archive, rows: Rows) -> None:
    """Write all rows, and compare what is in the database then with the archive: by their hashes,
    or by their number where the other kind of database writes the same values differently."""
    tables = {table.name: table for table in tables_after(archive.manifest.migrations)}
    same_kind = archive.manifest.database == rows.vendor
    for stored in archive.manifest.tables:
        table = tables[stored.name]
        try:
            rows.write(table, archive.rows(stored))
        except (KeyError, ValueError) as error:
            # It is read in parts, so this may come before its hash is known to be wrong.
            raise BackupError(
                f"{archive.path} is damaged: the rows of {table.name} cannot be read."
            ) from error
        found = _measure(rows, table)
        if found.rows != stored.rows or (found != stored and (same_kind or not table.has_json)):
            raise BackupError(f"The rows of {table.name} are not those of {archive.path}.")


def _measure(rows: Rows, table: Table) -> StoredTable:
    measured = Measured(rows.read(table))
    for _ in measured:
        pass
    return measured.of(table.name, table.columns)
