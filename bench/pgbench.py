"""The limit of storing: pgbench with the same statements on the same server."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.servers import Backend
from testing.binaries import postgres_folder

MESSAGES = Path(__file__).with_name("messages.sql")
POSTS = Path(__file__).with_name("posts.sql")
JOBS = Path(__file__).with_name("jobs.sql")
PEOPLE = 500
AUTHORS, TEXTS = 200, 1_000
# Enough that several wait at once; with fewer, each would wait for a flush to disk of its own.
CLIENTS = 16
# The seconds that a number of transactions may take.
LONGEST = 300

BENCH_ID = """
CREATE OR REPLACE FUNCTION bench_id(bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
    AS $$ SELECT lpad(to_hex($1), 32, '0')::uuid $$;
"""
PREPARE_MESSAGES = """
INSERT INTO accounts_user
    SELECT (jsonb_populate_record(NULL::accounts_user, to_jsonb(someone) || jsonb_build_object(
        'id', bench_id(n), 'email', 'bench' || n || '@example.com'))).*
    FROM (SELECT * FROM accounts_user LIMIT 1) AS someone, generate_series(1, %d) AS n;
CREATE TABLE bench_event AS
    SELECT data FROM realtime_event WHERE type = 'chat_message' LIMIT 1;
"""
PREPARE_POSTS = """
CREATE TABLE bench_author AS
    SELECT row_number() OVER () AS number, id, name
    FROM (SELECT * FROM accounts_user LIMIT %d) AS u;
CREATE TABLE bench_post AS
    SELECT row_number() OVER () AS number, title, content, tags
    FROM (SELECT * FROM posts_post LIMIT %d) AS p;
ALTER TABLE bench_author ADD PRIMARY KEY (number);
ALTER TABLE bench_post ADD PRIMARY KEY (number);
ANALYZE bench_author, bench_post;
"""


@dataclass(frozen=True)
class Stored:
    """The transactions of pgbench: how many per second, and the seconds that each took."""

    per_second: float
    took: list[float]


def program() -> Path | None:
    """Return pgbench: the one in the folder of the server's programs, else the one on the PATH."""
    bundled = postgres_folder() / "pgbench"
    on_path = shutil.which("pgbench")
    if bundled.exists():
        return bundled
    return Path(on_path) if on_path else None


def prepare_messages(backend: Backend) -> None:
    """Make the users of messages.sql. One message must have been sent, whose event it copies."""
    with psycopg.connect(backend.database_url) as connection:
        connection.execute((BENCH_ID + PREPARE_MESSAGES % PEOPLE).encode())


def prepare_posts(backend: Backend) -> None:
    """Make the authors and texts of posts.sql, from those that are there."""
    with psycopg.connect(backend.database_url) as connection:
        connection.execute((BENCH_ID + PREPARE_POSTS % (AUTHORS, TEXTS)).encode())


def store_messages(
    pgbench: Path, backend: Backend, seconds: int, rate: int | None, *, others: int = 1
) -> Stored:
    """Store messages of people who each write to so many others, for so long: so many offered per
    second, or as many as possible."""
    variables = {"people": PEOPLE, "others": others}
    return _store(pgbench, backend, MESSAGES, seconds, variables, rate=rate)


def store_posts(
    pgbench: Path, backend: Backend, seconds: int, *, published: bool, clients: int
) -> Stored:
    """Store as many posts as possible, each in a transaction of its own."""
    variables = {
        "authors": AUTHORS,
        "texts": TEXTS,
        "published": int(published),
        "posts": time.time_ns() // 1000,
    }
    return _store(pgbench, backend, POSTS, seconds, variables, clients=clients)


def do_jobs(pgbench: Path, backend: Backend, count: int, *, clients: int) -> Stored:
    """Take and end so many of the jobs that wait, as many as possible per second. The clients
    divide the number."""
    limits = [f"--client={clients}", f"--transactions={count // clients}"]
    return _run(pgbench, backend, JOBS, limits)


def _store(
    pgbench: Path,
    backend: Backend,
    script: Path,
    seconds: int,
    variables: Mapping[str, int],
    *,
    clients: int = CLIENTS,
    rate: int | None = None,
) -> Stored:
    limits = [
        *(f"--define={name}={value}" for name, value in variables.items()),
        *(f"--client={clients}", f"--time={seconds}"),
        *([f"--rate={rate}"] if rate else []),
    ]
    return _run(pgbench, backend, script, limits, seconds)


def _run(
    pgbench: Path, backend: Backend, script: Path, options: Sequence[str], seconds: int = LONGEST
) -> Stored:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(pgbench), "--no-vacuum", "--protocol=prepared", f"--file={script}", "--log",
            *options, backend.database_url,
        ]  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=seconds + 30)
        lines = [
            line.split()
            for log in Path(folder).glob("pgbench_log.*")
            for line in log.read_text().splitlines()
        ]
    # client, number, microseconds, script, time in seconds, and its microseconds
    ends = sorted(int(line[4]) + int(line[5]) / 1e6 for line in lines)
    span = ends[-1] - ends[0] if len(ends) > 1 else seconds
    return Stored(len(lines) / span, [int(line[2]) / 1e6 for line in lines])
