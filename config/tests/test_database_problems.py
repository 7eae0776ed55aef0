"""A database that cannot be used is one sentence, which says what to do."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    Error,
    IntegrityError,
    OperationalError,
    connection,
    connections,
)
from django.db.backends.base import base

from config.database_problems import problem_of
from testing.server import run_python

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is no server")
DATABASE = {
    "ENGINE": "apps.core.db.postgresql",
    "HOST": "db.example.com",
    "PORT": "5432",
    "USER": "ada",
    "PASSWORD": "topsecret",
    "NAME": "parley",
    "OPTIONS": {"sslmode": "verify-full"},
}
FAILED = 'connection failed: connection to server at "192.0.2.1", port 5432 failed: '
REFUSED = "PostgreSQL at 127.0.0.1:1 refuses connections. Start PostgreSQL there, or correct {}.\n"

# What no test can bring about in the server that it has; as PostgreSQL 15 and libpq 17 say it.
SAID = [
    (
        f'{FAILED}FATAL:  password authentication failed for user "ada"',
        'PostgreSQL at db.example.com:5432 refuses the password of user "ada", or has no such '
        "user. Correct DB_USER and DB_PASSWORD.",
    ),
    (
        f"{FAILED}fe_sendauth: no password supplied",
        'PostgreSQL at db.example.com:5432 asks for the password of user "ada". Set it in DB_USER '
        "and DB_PASSWORD.",
    ),
    (
        f'{FAILED}FATAL:  Peer authentication failed for user "ada"',
        'PostgreSQL at db.example.com:5432 does not let user "ada" in: Peer authentication failed '
        'for user "ada". Correct DB_USER, or its pg_hba.conf.',
    ),
    (
        f'{FAILED}FATAL:  no pg_hba.conf entry for host "192.0.2.7", user "ada", database '
        '"parley", no encryption',
        'PostgreSQL at db.example.com:5432 does not let user "ada" use database "parley" from '
        "this machine, or not without TLS. Add a line for them to its pg_hba.conf, or set "
        "DB_SSLMODE=require.",
    ),
    (
        f'{FAILED}root certificate file "/home/ada/.postgresql/root.crt" does not exist\nEither '
        "provide the file",
        "TLS with PostgreSQL at db.example.com:5432 fails: root certificate file "
        '"/home/ada/.postgresql/root.crt" does not exist. Correct DB_SSLMODE, or sslmode and '
        "sslrootcert in DATABASE_URL.",
    ),
    (
        f"{FAILED}FATAL:  sorry, too many clients already",
        "PostgreSQL at db.example.com:5432 has no connection left. Stop a process that uses it, or "
        'raise its max_connections (docs/operations.md, "Several processes").',
    ),
    (
        f"{FAILED}FATAL:  the database system is starting up",
        "PostgreSQL at db.example.com:5432 starts or stops just now. Try again in a moment; serve "
        "and migrate wait for it with --wait.",
    ),
    (
        "connection timeout expired",
        "PostgreSQL at db.example.com:5432 does not answer. Correct DB_HOST and DB_PORT, or open "
        "the way to it in the firewall.",
    ),
    (
        'could not extend file "base/16384/16385": No space left on device\nHINT:  Check free disk '
        "space.",
        "The disk of PostgreSQL at db.example.com:5432 is full. Make room there and try again.",
    ),
    (
        "server closed the connection unexpectedly\n\tThis probably means",
        "PostgreSQL at db.example.com:5432 ended the connection. Its log says why; try again.",
    ),
    (
        f"{FAILED}FATAL:  la base de données est en cours de démarrage",
        "PostgreSQL at db.example.com:5432 cannot be used: la base de données est en cours de "
        "démarrage. Add --traceback to see the whole error.",
    ),
    (
        "Unable to create the django_migrations table (permission denied for schema public\n"
        "LINE 1: CREATE TABLE)",
        'User "ada" may not create tables in database "parley". Make them its owner, in psql as an '
        'administrator: ALTER DATABASE "parley" OWNER TO "ada";',
    ),
]


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings of the running test's database, which a test may change."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    own = {**connection.settings_dict, "OPTIONS": {**connection.settings_dict["OPTIONS"]}}
    monkeypatch.setitem(settings.DATABASES, "default", own)
    return own


def problem_with(database: dict[str, Any]) -> str:
    """Connect with these settings, and return the sentence about the failure."""
    other = connections[DEFAULT_DB_ALIAS].copy()
    other.settings_dict = database
    with closing(other), pytest.raises(Error) as failure:
        other.ensure_connection()
    return problem_of(failure.value)


@pytest.mark.parametrize(("said", "sentence"), SAID)
def test_what_postgresql_says_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, said: str, sentence: str
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setitem(settings.DATABASES, "default", DATABASE)
    assert problem_of(OperationalError(said)) == sentence
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example.com/parley")
    assert "DB_PORT" not in problem_of(OperationalError(said))


@on_postgresql
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"HOST": "127.0.0.1", "PORT": "1"}, REFUSED.format("DB_HOST and DB_PORT").strip()),
        (
            {"HOST": "db.invalid"},
            'No host has the name "db.invalid". Correct DB_HOST and DB_PORT.',
        ),
        ({"NAME": "no-such"}, 'has no database "no-such". Make it with: createdb --host='),
        ({"OPTIONS": {"sslmode": "require"}}, "offers no TLS, and sslmode=require requires it."),
        (
            {"OPTIONS": {"sailor": "ada"}},
            'behind the "?" of DATABASE_URL: invalid connection option',
        ),
        ({"OPTIONS": {"connect_timeout": "soon"}}, "DATABASE_URL: bad value for connect_timeout"),
        ({"OPTIONS": {"sslmode": "always"}}, 'fails: invalid sslmode value: "always". Correct'),
    ],
)
def test_a_setting_that_postgresql_refuses_is_named(
    database: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    database.update(changes)
    assert sentence in problem_with(database)


@pytest.mark.django_db
def test_a_database_that_is_too_old_is_told(
    database: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Django asks once in a process.
    monkeypatch.setattr(base, "RAN_DB_VERSION_CHECK", set())
    monkeypatch.setattr(type(connection.features), "minimum_database_version", (99, 0))
    told = problem_with(database)
    assert " 99.0 or later is required (found " in told
    assert told.count("Upgrade it, or name another one in ") == 1


def sqlite_problem(monkeypatch: pytest.MonkeyPatch, path: Path, statement: str) -> str:
    """Run the statement in the file, and return the sentence about its failure."""
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": {}}
    monkeypatch.setitem(settings.DATABASES, "default", sqlite)
    with pytest.raises(sqlite3.DatabaseError) as failure:
        sqlite3.connect(path).executescript(statement)
    return problem_of(DatabaseError(str(failure.value)))


def test_a_sqlite_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def problem(path: Path, statement: str = "CREATE TABLE t (x)") -> str:
        return sqlite_problem(monkeypatch, path, statement)

    full, text = tmp_path / "full", tmp_path / "text"
    text.write_text("Not a database. " * 100)
    assert problem(tmp_path).startswith(f"The SQLite file {tmp_path} cannot be opened. Let this")
    assert problem(text).startswith(f"The file {text} is no SQLite database")
    assert (
        problem(full, "PRAGMA max_page_count = 1; CREATE TABLE t (x)")
        == f"The disk of the SQLite file {full} is full. Make room there and try again."
    )
    readonly = "PRAGMA query_only = 1; CREATE TABLE t (x)"
    assert "cannot be written. Let this account" in problem(tmp_path / "readonly", readonly)


@pytest.mark.django_db
def test_a_database_without_its_tables_is_told() -> None:
    with pytest.raises(Error) as failure, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such")
    assert "lacks tables or columns of this release. Make them with: python" in problem_of(
        failure.value
    )


def test_a_mistake_of_the_program_is_no_problem_of_the_database() -> None:
    assert problem_of(ValueError("x")) == ""
    assert problem_of(IntegrityError('null value in column "x"')) == ""
    assert problem_of(DatabaseError("syntax error")) == ""


@pytest.mark.integration
@pytest.mark.parametrize("command", ["serve", "migrate", "prune"])
def test_a_command_without_its_database_ends_with_one_sentence(command: str) -> None:
    ended = run_python(
        "manage.py", command, DATABASE_URL="postgresql://ada:topsecret@127.0.0.1:1/parley"
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1] + "\n" == REFUSED.format("DATABASE_URL")
    assert "Traceback" not in ended.stderr


@pytest.mark.integration
def test_the_whole_error_is_shown_when_it_is_asked_for() -> None:
    url = "postgresql://ada:topsecret@127.0.0.1:1/parley"
    ended = run_python("manage.py", "prune", "--traceback", DATABASE_URL=url)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "topsecret" not in ended.stderr
