"""Why a backup or a restore was refused or failed."""

from collections.abc import Mapping


class BackupError(Exception):
    """A backup could not be made or restored. The message is a sentence for the operator; what was
    there before is unchanged."""


class DatabaseHasRows(BackupError):
    """A restore would delete rows, and nobody has said that it may."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        super().__init__(
            f"The database has rows, which a restore deletes: {listed(rows)}. "
            "Restore into an empty database, or say --force."
        )


def listed(rows: Mapping[str, int]) -> str:
    """Return numbers of rows by table as a phrase."""
    return ", ".join(f"{count:,} in {table}" for table, count in rows.items())
