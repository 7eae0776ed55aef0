"""Any number of processes may migrate one database at the same time."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from config.migrating import lacking, pending_migrations
from testing.server import run_python, until

pytestmark = pytest.mark.integration

# `make test-starts` repeats what a race may let pass.
ROUNDS = int(os.environ.get("PARLEY_ROUNDS", "1"))
PROCESSES = 8
# Processes that migrate at the same moment, each with its own connection. The word `unlocked`
# leaves the lock out.
TOGETHER = """
import os
import sys
import time
import traceback
from contextlib import nullcontext
import django
from django.core.management import call_command, load_command_class

django.setup()
if "unlocked" in sys.argv:
    from config.management.commands import migrate
    migrate.migration_lock = lambda *_: nullcontext()
begin = time.time() + 0.3
children = []
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if not child:
        try:
            time.sleep(max(0, begin - time.time()))
            call_command("migrate")
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


def applied(output: str) -> list[str]:
    return re.findall(r"^  Applying (\S+)\.\.\.", output, re.MULTILINE)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_of_eight_processes_one_migrates_and_the_others_find_nothing_to_do(
    empty_database: str, number: int
) -> None:
    ended = run_python("-c", TOGETHER, str(PROCESSES), DATABASE_URL=empty_database)
    assert ended.returncode == 0, ended.stderr
    assert len(applied(ended.stdout)) == len(set(applied(ended.stdout))) > 20
    assert ended.stdout.count("No migrations to apply.") == PROCESSES - 1


def test_without_the_lock_processes_stop_each_other(empty_database: str) -> None:
    """The test above catches such a build."""
    ended = run_python("-c", TOGETHER, str(PROCESSES), "unlocked", DATABASE_URL=empty_database)
    assert ended.returncode > 0


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite is no server.")
def test_migrate_waits_for_a_database_that_is_not_there_yet(
    empty_database: str, tmp_path: Path
) -> None:
    address, log = f"{empty_database}_later", tmp_path / "log"
    with log.open("wb") as output:
        migrating = subprocess.Popen(
            [sys.executable, "manage.py", "migrate", "--wait", "--verbosity", "0"],
            cwd=settings.BASE_DIR,
            env={**os.environ, "DATABASE_URL": address},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    with psycopg.connect(empty_database, autocommit=True) as administrator:
        name = f'"{address.rpartition("/")[2]}"'
        try:
            until(lambda: "Waiting for the database. " in log.read_text(), seconds=30)
            administrator.execute(f"CREATE DATABASE {name}".encode())
            assert migrating.wait(timeout=60) == 0
            assert log.read_text().count("Waiting") == 1
        finally:
            migrating.kill()
            migrating.wait()
            administrator.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


@pytest.mark.django_db
def test_a_database_with_all_migrations_lacks_nothing() -> None:
    assert lacking(pending_migrations()) == ""


def test_what_a_database_lacks_is_said_with_what_to_do() -> None:
    said = lacking(["accounts.0001_initial", "posts.0001_initial"])
    assert "accounts.0001_initial and 1 more. Apply them with: python manage.py migrate" in said
