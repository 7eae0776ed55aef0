"""A copy of all that is kept of a user, as a zip with a JSON file for each kind."""

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from apps.core.features import personal_data
from config.backup.archive import new_file
from config.backup.rows import rows_of_database

README = "README.txt"
EXPLANATION = """\
This is what Parley keeps of the user {user}, as of {at:%Y-%m-%d %H:%M:%S} UTC.

Each file is a list in JSON; times are in UTC.

{files}

Not in it: the hash of the password, and what would let a reader continue a session. Views of posts
are counted and not kept. Messages that others have sent are theirs too: do not publish them.
"""


def export_user(user_id: UUID, path: Path) -> dict[str, int]:
    """Write the copy to a new file that only this account can read, and return how many rows each
    of its files has; raise BackupError or OSError."""
    rows: dict[str, int] = {}
    with new_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with rows_of_database().snapshot():
            at = timezone.now()
            for data in reversed(personal_data()):
                for name, export in data.exports.items():
                    rows[name] = _write(archive, f"{name}.json", export(user_id))
        files = "\n".join(f"{name}.json: {count:,} rows" for name, count in rows.items())
        archive.writestr(README, EXPLANATION.format(user=user_id, at=at, files=files))
    return rows


def _write(archive: zipfile.ZipFile, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows, one a line, without having all of them in memory; return how many there were."""
    count = 0
    with archive.open(name, "w", force_zip64=True) as member:
        member.write(b"[")
        for row in _one_by_one(rows):
            line = json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False)
            member.write(f"{',' if count else ''}\n{line}".encode())
            count += 1
        member.write(b"\n]\n")
    return count


def _one_by_one(rows: Any) -> Iterable[Mapping[str, Any]]:
    return rows.iterator() if hasattr(rows, "iterator") else rows  # type: ignore[no-any-return]
