"""An earlier build, with a database of its own that has the same rows."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg

from bench.servers import ROOT, Backend

# The build before reads and writes were made fast.
COMMIT = "f238299"
NAME = "before"
# Each after those that it refers to.
TABLES = ("accounts_user", "accounts_session", "posts_post", "posts_postslug")
COLUMNS = (
    "SELECT array_agg(column_name::text) FROM information_schema.columns WHERE table_name = %s"
)


@contextmanager
def build_before(backend: Backend, commit: str = COMMIT) -> Iterator[Backend | None]:
    """Yield the backend of the build of that commit, with a copy of the users and posts.

    It shares the servers of PostgreSQL and Redis. Yields None, and says so, if the repository does
    not have the commit.
    """
    if not _git("cat-file", "-e", f"{commit}^{{commit}}"):
        print(f"== This repository does not have {commit}: not compared with it.", flush=True)
        yield None
        return
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / NAME
        try:
            if not _git("worktree", "add", "--detach", str(folder), commit):
                raise RuntimeError(f"git could not make a worktree of {commit}.")
            # Both builds are measured with the same settings.
            shutil.copy(ROOT / "bench" / "settings.py", folder / "bench")
            yield _with_database(backend, folder)
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _with_database(backend: Backend, folder: Path) -> Backend:
    with psycopg.connect(backend.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {NAME}".encode())
    url = f"{backend.database_url.rpartition('/')[0]}/{NAME}"
    environment = {**backend.environment, "DATABASE_URL": url, "APP_NAME": NAME}
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, env=environment, cwd=folder, check=True)
    with (
        psycopg.connect(backend.database_url) as source,
        psycopg.connect(url, autocommit=True) as target,
    ):
        for table in TABLES:
            _copy(source, target, table)
        target.execute("VACUUM ANALYZE")
    return replace(backend, database_url=url, environment=environment, folder=folder)


def _copy(
    source: "psycopg.Connection[tuple[object, ...]]",
    target: "psycopg.Connection[tuple[object, ...]]",
    table: str,
) -> None:
    """Copy the columns that both tables have."""
    names = ", ".join(sorted(_columns(source, table) & _columns(target, table)))
    with (
        source.cursor().copy(f"COPY {table} ({names}) TO STDOUT".encode()) as rows,
        target.cursor().copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy,
    ):
        for part in rows:
            copy.write(part)


def _columns(connection: "psycopg.Connection[tuple[object, ...]]", table: str) -> set[str]:
    row = connection.execute(COLUMNS, [table]).fetchone()
    assert row is not None
    assert isinstance(row[0], list)
    return set(row[0])


def _git(*arguments: str) -> bool:
    """Run git in this repository and return whether it succeeded."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return done.returncode == 0
