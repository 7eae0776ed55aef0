"""manage.py backup: one file with all tables as they are at one moment."""

import errno
import json
import signal
import stat
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, connections

from apps.accounts.tests.people import Person
from apps.chat.models import Message
from apps.chat.tests.factories import new_message, new_messages
from config.backup.archive import Archive, NewArchive
from config.backup.sqlite_rows import _family
from config.backup.tables import applied_migrations, tables_after
from testing.server import database_url, run_python

pytestmark = pytest.mark.django_db(transaction=True)

KILLED_BEFORE_ITS_END = """
import os
import django
django.setup()
from django.core.management import call_command
from config.backup.archive import NewArchive
NewArchive.finish = lambda *_, **__: os.kill(os.getpid(), {number})
call_command("backup", {path!r})
"""


def rows_of(path: Path, table: str) -> list[dict[str, str]]:
    """Return the rows of a table in an archive."""
    archive = Archive(path)
    [stored] = [one for one in archive.manifest.tables if one.name == table]
    lines = b"".join(archive.rows(stored)).decode().splitlines()
    return [dict(zip(stored.columns, line.split("\t"), strict=True)) for line in lines]


def test_a_backup_is_of_one_moment_and_delays_no_write(
    alice: Person, bob: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alice sends a message before each table is read."""
    new_messages(alice, bob, 5)
    add = NewArchive.add

    def send() -> None:
        new_message(alice, bob)
        connections.close_all()

    def add_while_alice_writes(archive: NewArchive, *table: Any) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(send).result()
        add(archive, *table)

    monkeypatch.setattr(NewArchive, "add", add_while_alice_writes)
    path = tmp_path / "backup.zip"
    call_command("backup", str(path), verbosity=0)

    tables = len(Archive(path).manifest.tables)
    assert Message.objects.count() == 5 + tables > 20
    assert len(rows_of(path, "chat_message")) == 5
    assert [row["last_seq"] for row in rows_of(path, "chat_conversation")] == ["5"]
    assert {row["head"] for row in rows_of(path, "realtime_stream")} == {"5"}
    assert len(rows_of(path, "realtime_event")) == 10


def test_a_backup_is_private_and_replaces_no_file(alice: Person, tmp_path: Path) -> None:
    path = tmp_path / "backup.zip"
    call_command("backup", str(path), verbosity=0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(CommandError, match=r"backup\.zip exists already"):
        call_command("backup", str(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_secrets_are_in_a_backup_only_if_they_are_asked_for(db: Any, tmp_path: Path) -> None:
    without, with_them = tmp_path / "without.zip", tmp_path / "with.zip"
    call_command("backup", str(without), verbosity=0)
    call_command("backup", str(with_them), with_secrets=True, verbosity=0)
    assert Archive(without).secrets() is None
    assert Archive(with_them).secrets() == {
        "APP_SECRET_KEY": settings.SECRET_KEY,
        "JWT_SECRET": settings.JWT_SECRET,
        "VAPID_SECRET": settings.VAPID_SECRET,
    }
    texts = [zipfile.ZipFile(without).read(name) for name in zipfile.ZipFile(without).namelist()]
    assert not any(settings.JWT_SECRET.encode() in text for text in texts)


def test_a_full_disk_is_told_and_leaves_no_file(
    alice: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("config.backup.archive.os.fsync", full)
    with pytest.raises(CommandError, match="cannot be written: No space left on device"):
        call_command("backup", str(tmp_path / "backup.zip"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
@pytest.mark.parametrize(("how", "left"), [(signal.SIGKILL, [".part"]), (signal.SIGTERM, [])])
def test_a_backup_that_is_stopped_leaves_no_file_of_its_name(
    alice: Person, tmp_path: Path, how: signal.Signals, left: list[str]
) -> None:
    path = tmp_path / "backup.zip"
    code = KILLED_BEFORE_ITS_END.format(path=str(path), number=int(how))
    assert run_python("-c", code, DATABASE_URL=database_url()).returncode != 0
    assert [file.suffix for file in tmp_path.iterdir()] == left
    call_command("backup", str(path), verbosity=0)
    Archive(path).check()


def test_the_manifest_says_from_where_a_backup_is(alice: Person, tmp_path: Path) -> None:
    path = tmp_path / "backup.zip"
    call_command("backup", str(path), verbosity=0)
    manifest = json.loads(zipfile.ZipFile(path).read("manifest.json"))
    assert (manifest["version"], manifest["database"]) == (settings.APP_VERSION, connection.vendor)
    assert ["chat", "0005_without_receivers"] in manifest["migrations"]
    [users] = [table for table in manifest["tables"] if table["name"] == "accounts_user"]
    assert (users["rows"], len(users["sha256"])) == (1, 64)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL makes the text itself")
def test_every_type_of_a_column_can_be_written_as_text(db: Any) -> None:
    tables = tables_after(applied_migrations())
    assert {_family(kind) for table in tables for kind in table.columns.values()} == {
        "uuid",
        "time",
        "boolean",
        "text",
        "number",
    }
    with pytest.raises(NotImplementedError, match="type real"):
        _family("real")
