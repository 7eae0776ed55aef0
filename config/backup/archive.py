"""The file of a backup: a zip with a manifest, and the rows of each table as text.

    manifest.json             what is in it, and from where
    tables/<table>.copy       the rows of a table (config/backup/rows.py)
    secrets.json              the signing secrets, if they were asked for

The manifest is written last, since only then the hashes are known, and read first.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from config.backup.errors import BackupError
from config.backup.rows import CHUNK_BYTES
from config.backup.tables import Migrations, Table

FORMAT = 1
MANIFEST, SECRETS = "manifest.json", "secrets.json"
DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError)


@dataclass(frozen=True)
class StoredTable:
    """What an archive says of a table: `sha256` and `bytes` are of its rows as text."""

    name: str
    columns: list[str]
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is in an archive: made by which version of Parley, from which kind of database, when."""

    format: int
    version: str
    database: str
    made_at: datetime
    migrations: list[tuple[str, str]]
    tables: list[StoredTable]

    @classmethod
    def from_json(cls, text: bytes) -> "Manifest":
        """Parse it; raise KeyError, ValueError or TypeError."""
        found = json.loads(text)
        found["made_at"] = datetime.fromisoformat(found["made_at"])
        found["migrations"] = [(app, name) for app, name in found["migrations"]]
        found["tables"] = [StoredTable(**table) for table in found["tables"]]
        return cls(**found)

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps({**asdict(self), "made_at": self.made_at.isoformat()}, indent=1)


class Measured:
    """Counts and hashes parts of a table's text on their way through."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts
        self._hash = hashlib.sha256()
        self._rows = self._bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the parts."""
        for part in self._parts:
            self._hash.update(part)
            self._rows += part.count(b"\n")
            self._bytes += len(part)
            yield part

    def of(self, name: str, columns: Iterable[str]) -> StoredTable:
        """Return what was measured of a table with that name and those columns."""
        return StoredTable(name, list(columns), self._rows, self._bytes, self._hash.hexdigest())


class NewArchive:
    """An archive that is written, table by table."""

    def __init__(self, file: IO[bytes]) -> None:
        # Rows shrink to a fifth at the lowest level already, which is the fastest.
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._tables: list[StoredTable] = []

    def add(self, table: Table, parts: Iterable[bytes]) -> None:
        """Add the rows of a table."""
        measured = Measured(parts)
        with self._zip.open(_member(table.name), "w", force_zip64=True) as member:
            for part in measured:
                member.write(part)
        self._tables.append(measured.of(table.name, table.columns))

    def add_secrets(self, secrets: Mapping[str, str]) -> None:
        """Add the signing secrets."""
        self._zip.writestr(SECRETS, json.dumps(secrets))

    def finish(
        self, *, version: str, database: str, made_at: datetime, migrations: Migrations
    ) -> Manifest:
        """Add and return the manifest. The archive is complete then."""
        manifest = Manifest(FORMAT, version, database, made_at, list(migrations), self._tables)
        self._zip.writestr(MANIFEST, manifest.to_json())
        self._zip.close()
        return manifest


class Archive:
    """An archive that is read. Raises BackupError for what is none, or is damaged."""

    def __init__(self, path: Path) -> None:
        with _damages_told(path):
            self._zip = zipfile.ZipFile(path)
            found = json.loads(self._zip.read(MANIFEST))["format"]
            if found != FORMAT:
                raise BackupError(
                    f"{path} has the format {found}, and this release of Parley reads {FORMAT}: "
                    "use the release that made it, or a newer one."
                )
            self.manifest = Manifest.from_json(self._zip.read(MANIFEST))
        self.path = path

    def rows(self, table: StoredTable) -> Iterator[bytes]:
        """Yield the text of a table in parts, and raise BackupError at its end if it is not what
        the manifest says."""
        measured = Measured(self._parts(table.name))
        yield from measured
        if measured.of(table.name, table.columns) != table:
            raise BackupError(
                f"{self.path} is damaged: the rows of {table.name} have another hash."
            )

    def check(self) -> None:
        """Read all of it; raise BackupError if anything is damaged."""
        for table in self.manifest.tables:
            for _ in self.rows(table):
                pass

    def secrets(self) -> dict[str, str] | None:
        """Return the signing secrets, or None if it has none."""
        with _damages_told(self.path):
            if SECRETS not in self._zip.namelist():
                return None
            found: dict[str, str] = json.loads(self._zip.read(SECRETS))
            return found

    def _parts(self, name: str) -> Iterator[bytes]:
        with _damages_told(self.path), self._zip.open(_member(name)) as member:
            while part := member.read(CHUNK_BYTES):
                yield part


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that others cannot read (0600), and give it its name when the block is done.

    There is the whole file under that name or none, after a power cut too. A file that has the name
    already stays: BackupError. If the process is killed, a file that ends in `.part` stays.
    """
    _require_free(path)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # Another backup may have taken the name meanwhile.
        _require_free(path)
        part.rename(path)
    except BaseException:
        part.unlink()
        raise
    _sync_folder(path.parent)


def _require_free(path: Path) -> None:
    if path.exists():
        raise BackupError(f"{path} exists already, and is not overwritten: name another file.")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some file systems of networks cannot.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _member(table: str) -> str:
    return f"tables/{table}.copy"


@contextmanager
def _damages_told(path: Path) -> Iterator[None]:
    """Raise BackupError in place of what Python raises for a file that is no archive."""
    try:
        yield
    except FileNotFoundError:
        raise BackupError(f"There is no file {path}.") from None
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror or error}.") from error
    except DAMAGES as error:
        raise BackupError(f"{path} is damaged, or no backup of Parley: {error}.") from error
