"""Only the server's own account may read files with user data."""

import logging
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings

from apps.core.logs import PrivateFileHandler
from apps.core.private import private_directory, private_file
from config import env
from testing.server import ServerProcess, run_python


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that every account may read, such as /var/log."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def test_a_folder_is_created_with_its_missing_parents(shared: Path) -> None:
    private_directory(shared / "a" / "b")
    assert [mode(shared / "a"), mode(shared / "a" / "b")] == [0o700, 0o700]
    assert mode(shared) == 0o755


def test_a_file_is_created_in_a_folder_that_keeps_its_mode(shared: Path) -> None:
    private_file(shared / "x")
    assert [mode(shared / "x"), mode(shared)] == [0o600, 0o755]


def test_the_mode_of_an_open_file_is_corrected(shared: Path) -> None:
    old = shared / "old"
    old.write_text("said")
    old.chmod(0o644)
    private_file(old)
    private_directory(shared)
    assert [mode(old), mode(shared), old.read_text()] == [0o600, 0o700, "said"]


def test_a_file_of_another_account_keeps_its_mode(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = shared / "theirs"
    theirs.touch(0o644)
    theirs.chmod(0o644)
    monkeypatch.setattr(os, "geteuid", lambda: theirs.stat().st_uid + 1)
    private_file(theirs)
    private_directory(shared)
    assert [mode(theirs), mode(shared)] == [0o644, 0o755]


def test_a_pipe_keeps_its_mode(shared: Path) -> None:
    """A log to /dev/stdout must not change the mode of the terminal."""
    pipe = shared / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o622)
    private_file(pipe)
    assert mode(pipe) == 0o622


def test_a_log_is_private_after_a_rotation(shared: Path) -> None:
    log = shared / "app.log"
    log.touch()
    log.chmod(0o644)
    handler = PrivateFileHandler(log)
    assert mode(log) == 0o600
    log.rename(shared / "app.log.1")
    handler.emit(logging.makeLogRecord({"msg": "hello"}))
    handler.close()
    assert [mode(log), mode(shared / "app.log.1"), log.read_text()] == [0o600, 0o600, "hello\n"]


def test_a_log_file_that_cannot_be_opened_raises_nothing(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = PrivateFileHandler(shared / "logs" / "app.log")
    (shared / "logs").rename(shared / "moved")
    (shared / "logs").touch()
    handler.handle(logging.makeLogRecord({"msg": "hello"}))
    assert "NotADirectoryError" in capsys.readouterr().err
    (shared / "logs").unlink()
    handler.handle(logging.makeLogRecord({"msg": "hello again"}))
    handler.close()
    assert (shared / "logs" / "app.log").read_text() == "hello again\n"


def test_the_mode_of_an_older_database_is_corrected(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [shared / f"old.sqlite3{suffix}" for suffix in ("", "-wal", "-shm")]
    for file in files:
        file.touch()
        file.chmod(0o644)
    monkeypatch.setenv("DATABASE_URL", f"sqlite://{files[0]}")
    env.database(shared / "unused", connect_timeout=0, lock_timeout=0)
    assert [mode(file) for file in files] == [0o600, 0o600, 0o600]


def test_a_file_that_is_no_database_is_refused_and_not_touched(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env, "problems", [])
    hosts = shared / "hosts"
    hosts.write_text("127.0.0.1 localhost")
    hosts.chmod(0o644)
    monkeypatch.setenv("DATABASE_URL", f"sqlite://{hosts}")
    default = shared / "default"
    assert env.database(default, connect_timeout=0, lock_timeout=0)["NAME"] == default
    assert env.problems == [
        env.Problem("DATABASE_URL", f"names {hosts}, which is no SQLite database.")
    ]
    assert mode(hosts) == 0o644


def test_the_data_folder_and_its_secrets_are_private() -> None:
    assert mode(settings.DATA_DIR) == 0o700
    assert {mode(secret) for secret in settings.DATA_DIR.glob("*-secret")} <= {0o600}


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_other_accounts_can_read_no_file_of_a_server(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    place = tmp_path / "place"
    url = f"sqlite://{place}/data/parley.sqlite3"
    migrated = run_python("manage.py", "migrate", "--verbosity", "0", DATABASE_URL=url)
    assert migrated.returncode == 0, migrated.stderr
    server = start_server(
        DATABASE_URL=url,
        LOG_OUTPUT="file",
        LOG_LEVEL="info",
        LOG_FILE_PATH=str(place / "logs" / "app.log"),
    )
    server.call("GET", "/api/v1/nothing")
    with closing(sqlite3.connect(place / "data" / "parley.sqlite3")) as database:
        database.executescript("PRAGMA journal_mode=WAL; CREATE TABLE secrets (secret);")
        kept = [place, *place.rglob("*")]
        assert {"parley.sqlite3", "parley.sqlite3-wal", "app.log"} <= {path.name for path in kept}
        assert [path for path in kept if mode(path) != (0o700 if path.is_dir() else 0o600)] == []
