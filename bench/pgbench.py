"""The limit of storing messages: pgbench with the same statements on the same server."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.servers import Backend
from testing.binaries import postgres_folder

SCRIPT = Path(__file__).with_name("messages.sql")
PAIRS = 200
# Enough that several wait at once; with fewer, each would wait for a flush to disk of its own.
CLIENTS = 16

PREPARE = """
CREATE FUNCTION bench_id(bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
    AS $$ SELECT lpad(to_hex($1), 32, '0')::uuid $$;
INSERT INTO accounts_user
    SELECT (jsonb_populate_record(NULL::accounts_user, to_jsonb(someone) || jsonb_build_object(
        'id', bench_id(n), 'email', 'bench' || n || '@example.com'))).*
    FROM (SELECT * FROM accounts_user LIMIT 1) AS someone, generate_series(2, %d) AS n;
CREATE TABLE bench_event AS
    SELECT data FROM realtime_event WHERE type = 'chat_message' LIMIT 1;
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


def prepare(backend: Backend) -> None:
    """Make the users of the script. One message must have been sent, whose event it copies."""
    with psycopg.connect(backend.database_url) as connection:
        connection.execute((PREPARE % (2 * PAIRS + 1)).encode())


def store(pgbench: Path, backend: Backend, seconds: int, rate: int | None) -> Stored:
    """Store messages for so long: so many offered per second, or as many as possible."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(pgbench), "--no-vacuum", "--protocol=prepared", f"--file={SCRIPT}",
            f"--define=pairs={PAIRS}", f"--client={CLIENTS}", f"--time={seconds}", "--log",
            *([f"--rate={rate}"] if rate else []),
            backend.database_url,
        ]  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=seconds + 30)
        lines = [
            line.split()
            for log in Path(folder).glob("pgbench_log.*")
            for line in log.read_text().splitlines()
        ]
    # client, number, microseconds, script, time in seconds, and its microseconds
    ends = sorted(int(line[4]) + int(line[5]) / 1e6 for line in lines)
    return Stored(len(lines) / (ends[-1] - ends[0]), [int(line[2]) / 1e6 for line in lines])
