"""manage.py restore: all of a backup replaces the database, or nothing is changed."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Model

from apps.accounts.models import Session, User, WebsocketTicket
from apps.accounts.tests.people import Person
from apps.chat.tests.factories import new_message, new_messages
from apps.posts.services import post_create
from apps.realtime.models import Stream
from config import secrets
from config.backup import postgresql_rows
from config.migrating import migration_lock
from testing.server import ServerProcess, database_url, empty_database, run_python
from testing.socket import TestSocket

pytestmark = pytest.mark.django_db(transaction=True)

# What a restore changes itself.
CHANGED = (Session, Stream, WebsocketTicket)
# What separates rows and columns in a backup, or means null, and what is more than one byte.
HOSTILE = "\\N \\.\n\ttab\r\v\f\b \\\\ 'quoted' \"twice\" \N{SAILBOAT} \x7f"
KILLED_BEFORE_ITS_END = """
import os, signal
import django
django.setup()
from django.core.management import call_command
from config.backup import restoring
restoring.after_restore = lambda: os.kill(os.getpid(), signal.SIGKILL)
call_command("restore", {path!r}, force=True, ask=False)
"""


@pytest.fixture
def backup(alice: Person, bob: Person, tmp_path: Path) -> Path:
    """A backup of a database with two users, a message and a post."""
    new_message(alice, bob, HOSTILE)
    post_create(alice.user, title="Ahoy", content=HOSTILE, status="published", tags=["sea", "a\\b"])
    return made(tmp_path / "backup.zip")


def made(path: Path) -> Path:
    call_command("backup", str(path), verbosity=0)
    return path


def restore(path: Path, **options: Any) -> str:
    """Restore over the rows that are there, without a question, and return what is said."""
    output = StringIO()
    call_command("restore", str(path), stdout=output, **{"force": True, "ask": False, **options})
    return output.getvalue()


def rows() -> dict[str, list[Any]]:
    """Return all rows that a restore does not change itself."""
    found = everything()
    return {model.__name__: found[model] for model in found if model not in CHANGED}


def everything() -> dict[type[Model], list[Any]]:
    """Return all rows."""
    models = apps.get_models(include_auto_created=True)
    return {model: list(model._default_manager.order_by("pk").values()) for model in models}


def rewritten(archive: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """Return a copy of an archive in which one member is changed."""
    copy = archive.with_name("rewritten.zip")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(copy, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            new.writestr(member, change(content) if member == name else content)
    return copy


def manifest_with(archive: Path, **changed: Any) -> Path:
    def change(content: bytes) -> bytes:
        return json.dumps({**json.loads(content), **changed}).encode()

    return rewritten(archive, "manifest.json", change)


def test_a_restore_brings_every_row_back_and_the_numbers_go_on(
    backup: Path, alice: Person, bob: Person
) -> None:
    before = rows()
    new_messages(bob, alice, 3)
    User.objects.filter(pk=bob.user.pk).update(name="Robert")
    said = restore(backup)
    assert rows() == before
    assert "rows are restored, and compared with the backup" in said
    # The next rows get numbers that are not taken.
    assert new_message(bob, alice).seq == 2


def test_sessions_and_epochs_do_not_come_back(backup: Path, alice: Person) -> None:
    """A device that was stolen since the backup was logged out, and the backup does not know it."""
    epochs = set(Stream.objects.values_list("epoch", flat=True))
    said = restore(backup)
    assert not Session.objects.filter(ended_at=None).exists()
    assert not epochs & set(Stream.objects.values_list("epoch", flat=True))
    assert "2 sessions are ended." in said
    assert "3 streams begin a new epoch." in said
    assert alice.get("/auth/profile").status_code == 401


def test_rows_are_not_overwritten_unless_that_is_said(backup: Path, alice: Person) -> None:
    before = everything()
    with pytest.raises(CommandError, match=r"has rows.*2 in accounts_user.*say --force"):
        restore(backup, force=False)
    # Nobody is there to be asked.
    with pytest.raises(CommandError, match="To go on without a question: --no-input"):
        restore(backup, ask=True)
    assert everything() == before


@pytest.mark.parametrize(("answer", "restored"), [("yes", True), ("y", False), ("", False)])
def test_an_operator_at_a_terminal_is_told_what_is_lost_and_asked(
    backup: Path, monkeypatch: pytest.MonkeyPatch, answer: str, restored: bool
) -> None:
    User.objects.filter(name="Bob").update(name="Robert")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    if restored:
        assert "will be lost: 2 in accounts_session, 2 in accounts_user" in restore(
            backup, ask=True
        )
    else:
        with pytest.raises(CommandError, match=r"Nothing was changed\."):
            restore(backup, ask=True)
    assert User.objects.filter(name="Bob").exists() == restored


def test_a_damaged_backup_changes_nothing(backup: Path) -> None:
    before = everything()
    other_name = rewritten(
        backup, "tables/accounts_user.copy", lambda rows: rows.replace(b"Bob", b"Rob")
    )
    with pytest.raises(CommandError, match=r"damaged: the rows of accounts_user"):
        restore(other_name)
    content = bytearray(backup.read_bytes())
    with zipfile.ZipFile(backup) as archive:
        largest = max(archive.infolist(), key=lambda member: member.compress_size)
    content[largest.header_offset + largest.compress_size // 2] ^= 1
    backup.write_bytes(content)
    for options in ({}, {"check": True}):
        with pytest.raises(CommandError, match="is damaged"):
            restore(backup, **options)
    backup.write_bytes(content[: len(content) // 2])
    with pytest.raises(CommandError, match="is damaged, or no backup of Parley"):
        restore(backup)
    with pytest.raises(CommandError, match="There is no file"):
        restore(backup.with_name("gone.zip"))
    assert everything() == before


@pytest.mark.parametrize(("found", "put"), [(b"Bob", b"B\\qb"), (b"\t", b""), (b"Bob", b"\xff")])
def test_damaged_rows_of_a_large_table_end_with_a_sentence(
    backup: Path, monkeypatch: pytest.MonkeyPatch, found: bytes, put: bytes
) -> None:
    """They are written in parts, before the hash of all is known."""
    monkeypatch.setattr("config.backup.sqlite_rows.ROWS_AT_ONCE", 1)
    before = everything()
    damaged = rewritten(backup, "tables/accounts_user.copy", lambda rows: rows.replace(found, put))
    with pytest.raises(CommandError, match=r"rows of accounts_user|is as it was"):
        restore(damaged)
    assert everything() == before


def test_a_backup_that_this_code_cannot_read_changes_nothing(backup: Path) -> None:
    before = everything()
    migrations = json.loads(zipfile.ZipFile(backup).read("manifest.json"))["migrations"]
    newer = [*migrations, ["chat", "0099_reactions"]]
    with pytest.raises(CommandError, match=r"newer release.*chat\.0099_reactions"):
        restore(manifest_with(backup, migrations=newer))
    with pytest.raises(CommandError, match="has the format 2"):
        restore(manifest_with(backup, format=2))
    with pytest.raises(CommandError, match="other tables or columns"):
        restore(manifest_with(backup, tables=[]))
    assert everything() == before


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer in any case")
def test_a_restore_waits_for_a_migration_and_changes_nothing_if_it_lasts(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_rows, "LOCK_SECONDS", 1)
    # After a restore that went through, it would wait for the lock that this test has.
    monkeypatch.setattr("config.management.commands.restore.call_command", lambda *_, **__: None)
    before = everything()
    with migration_lock(connection, print), pytest.raises(CommandError, match="lock timeout"):
        restore(backup)
    assert everything() == before


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the disk is that of another machine")
def test_a_disk_without_space_is_told_before_anything_happens(
    backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything()
    usage = shutil.disk_usage("/")._replace(free=1_000)
    monkeypatch.setattr("config.backup.restoring.shutil.disk_usage", lambda _: usage)
    with pytest.raises(CommandError, match=r"A restore needs .* MB in .*, and 0 MB are free"):
        restore(backup)
    assert everything() == before


def test_a_backup_can_be_checked_without_a_restore(backup: Path, alice: Person) -> None:
    User.objects.filter(name="Bob").update(name="Robert")
    before = everything()
    assert "It is whole, and can be restored." in restore(backup, check=True)
    assert everything() == before


def test_secrets_come_back_on_demand_unless_a_setting_differs(
    backup: Path, alice: Person, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    with pytest.raises(CommandError, match="holds no secrets"):
        restore(backup, with_secrets=True)
    with_them = tmp_path / "with.zip"
    call_command("backup", str(with_them), with_secrets=True, verbosity=0)
    monkeypatch.setenv("JWT_SECRET", "another")
    with pytest.raises(CommandError, match="JWT_SECRET is set, to another secret"):
        restore(with_them, with_secrets=True)
    assert not (tmp_path / "jwt-secret").exists()
    for name in secrets.FILES:
        monkeypatch.delenv(name, raising=False)
    restore(with_them, with_secrets=True)
    assert secrets.kept_secret(tmp_path / "jwt-secret") == settings.JWT_SECRET
    assert secrets.kept_secret(tmp_path / "app-secret") == settings.SECRET_KEY
    assert secrets.kept_secret(tmp_path / "vapid-secret") == settings.VAPID_SECRET
    assert (tmp_path / "jwt-secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.integration
def test_a_restore_that_is_killed_leaves_what_was_there(backup: Path, alice: Person) -> None:
    """It dies when everything is written, just before the end of the transaction."""
    User.objects.filter(name="Bob").update(name="Robert")
    before = everything()
    code = KILLED_BEFORE_ITS_END.format(path=str(backup))
    assert run_python("-c", code, DATABASE_URL=database_url()).returncode == -9
    assert everything() == before
    restore(backup)
    assert User.objects.filter(name="Bob").exists()


@pytest.mark.integration
def test_an_older_backup_gets_the_newer_migrations(backup: Path, tmp_path: Path) -> None:
    before = rows()
    older = tmp_path / "older.zip"
    with empty_database(tmp_path) as elsewhere:
        for command in (
            ("restore", str(backup)),
            ("migrate", "posts", "0001", "--verbosity", "0"),
            ("backup", str(older)),
        ):
            done = run_python("manage.py", *command, DATABASE_URL=elsewhere)
            assert done.returncode == 0, done.stderr
    assert re.search(r"\d migrations that are newer were applied\.", restore(older))
    assert rows() == before
    with connection.cursor() as cursor:
        indexes = connection.introspection.get_constraints(cursor, "posts_post")
    assert "post_of_author_by_status" in indexes


@pytest.mark.integration
@pytest.mark.skipif(connection.vendor != "postgresql", reason="needs both kinds of databases")
def test_a_backup_moves_from_one_kind_of_database_to_the_other_and_back(
    backup: Path, tmp_path: Path
) -> None:
    before = rows()
    embedded, moved = f"sqlite:///{tmp_path}/moved.sqlite3", tmp_path / "moved.zip"
    for command in (("restore", str(backup)), ("backup", str(moved))):
        done = run_python("manage.py", *command, DATABASE_URL=embedded)
        assert done.returncode == 0, done.stderr
    User.objects.filter(name="Bob").update(name="Robert")
    restore(moved)
    assert rows() == before


@pytest.mark.integration
def test_a_client_that_is_ahead_of_the_backup_fetches_everything_again(
    start_server: Callable[..., ServerProcess], alice: Person, bob: Person, tmp_path: Path
) -> None:
    """The numbers that the client has seen are given a second time, to other messages."""
    stream = f"user.{alice.id}"
    new_messages(bob, alice, 4)
    backup = made(tmp_path / "backup.zip")
    server = start_server()
    with TestSocket(server.url, token=alice.access) as socket:
        socket.expect("connected")
        new_messages(bob, alice, 3)
        known = socket.ask("subscribe", {"stream": stream})["data"]
        assert known["head"] == 7
    server.stop()

    restore(backup)
    new_messages(bob, alice, 3)
    server = start_server()
    with TestSocket(server.url, token=alice.another_device().access) as socket:
        socket.expect("connected")
        seen = {"stream": stream, "after": 7, "epoch": known["epoch"]}
        answer = socket.ask("subscribe", seen)
        assert (answer["type"], answer["data"]["head"]) == ("reset", 7)
        again = {"stream": stream, "after": 7, "epoch": answer["data"]["epoch"]}
        assert socket.ask("subscribe", again)["type"] == "subscribed"
