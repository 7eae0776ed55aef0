"""Back up and restore a million messages, on both kinds of databases: python -m bench.restore_drill
[MESSAGES].

Each step is a command as an operator runs it. The restored database is backed up again, and all
tables are compared by their hashes, but those that a restore changes itself.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.servers import ROOT, DurablePostgres

MESSAGES = 1_000_000
LIMIT_SECONDS = 600
# Sessions end, and streams begin new epochs.
CHANGED = {"accounts_session", "accounts_websocketticket", "realtime_stream"}


@contextmanager
def postgres() -> Iterator[tuple[str, str]]:
    """Yield the addresses of two empty databases of a private PostgreSQL."""
    with DurablePostgres() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE restored")
        yield server.url, f"{server.url.removesuffix('parley')}restored"


@contextmanager
def sqlite() -> Iterator[tuple[str, str]]:
    """Yield the addresses of two SQLite databases that do not exist yet."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/parley.sqlite3", f"sqlite:///{folder}/restored.sqlite3"


def timed(database: str, *command: str) -> float:
    """Run Python with a command on a database and return how many seconds it took."""
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        # Without a developer's own .env, as in the processes of tests.
        "APP_ENV": "test",
        "APP_SECRET_KEY": secrets.token_urlsafe(64),
        "JWT_SECRET": secrets.token_urlsafe(64),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    began = time.monotonic()
    subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=True)
    return time.monotonic() - began


def hashes(path: Path) -> dict[str, str]:
    """Return the hash of each table of an archive."""
    from config.backup.archive import Archive

    return {table.name: table.sha256 for table in Archive(path).manifest.tables}


def drill(source: str, target: str, messages: int) -> bool:
    """Fill, back up, restore and compare; print each step. Return whether all is equal, in time."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first.zip"), Path(folder, "second.zip")
        timed(source, "manage.py", "migrate", "--verbosity", "0")
        filled = timed(source, "-m", "bench.many_messages", str(messages))
        backed_up = timed(source, "manage.py", "backup", str(first))
        restored = timed(target, "manage.py", "restore", str(first))
        timed(target, "manage.py", "backup", str(second))
        before, after = hashes(first), hashes(second)
        size = first.stat().st_size / 1e6
    different = {name for name in before if before[name] != after[name]} - CHANGED
    compared = len(before.keys() - CHANGED)
    print(
        f"{messages:,} messages: filled in {filled:.0f} s, backed up in {backed_up:.0f} s "
        f"({size:.0f} MB), restored in {restored:.0f} s (at most {LIMIT_SECONDS}).\n"
        f"{compared - len(different)} of {compared} tables have equal hashes."
        + (f" DIFFERENT: {', '.join(sorted(different))}" if different else "")
    )
    return not different and restored <= LIMIT_SECONDS


def main(arguments: list[str]) -> int:
    """Run the drill on both kinds, and return 0 if it succeeded on both."""
    messages = int(arguments[0]) if arguments else MESSAGES
    succeeded = []
    for name, places in {"PostgreSQL": postgres, "SQLite": sqlite}.items():
        print(f"== {name}", flush=True)
        with places() as (source, target):
            succeeded.append(drill(source, target, messages))
    return 0 if all(succeeded) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
