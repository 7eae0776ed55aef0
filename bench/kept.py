"""How much memory kept bytes take while clients ask for a million different keys."""

import math
from collections.abc import Sequence

import psycopg

from bench.load import Load
from bench.load import run as run_load
from bench.report import Report
from bench.servers import NEVER_REFUSED, Backend, Server, parley, start_backend
from bench.workload import Workload

POSTS = 100_000
KEYS = 1_000_000
PARTS = 20
MEGABYTES = 64
MB = 2**20
# What the server may take in addition to the bound of what it keeps, in megabytes.
MORE = 50
# Posts have slugs from earlier titles, and each of them is a key of its own.
SLUGS = """
INSERT INTO posts_postslug (slug, post_id, created_at)
    SELECT 'once-' || number || '-' || posts_post.slug, posts_post.id, now()
    FROM posts_post, generate_series(1, %d) AS number
    WHERE posts_post.status = 'published'
"""


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "kept",
        "The memory of kept bytes",
        f"growth of at most CACHE_MEGABYTES + {MORE} MB",
    )
    with start_backend(NEVER_REFUSED) as backend:
        workload = Workload(backend.community(POSTS))
        requests = workload.slugs(_slugs(backend, KEYS))
        with parley(backend, CACHE_MEGABYTES=str(MEGABYTES)) as server:
            # What a process needs once does not count.
            run_load(Load([server.port], workload.hot_list() + workload.hot_post() * 1_000))
            before = server.resident_bytes()
            ask_for_all(server, requests)
            after, peak = server.resident_bytes(), server.peak_bytes()
    report.rows.append(
        {
            "different keys": len(requests),
            "CACHE_MEGABYTES": MEGABYTES,
            "MB before": before / MB,
            "MB at the peak": peak / MB,
            "MB after": after / MB,
            "growth in MB": (peak - before) / MB,
            "may grow by": MEGABYTES + MORE,
        }
    )
    report.notes += [
        f"Resident memory of the server's process. {POSTS:,} posts of about 1,600 characters are "
        "asked for by each of their slugs, of which they have about eleven, over 16 connections, "
        "and every response is a success. Views wait in the same process to be counted.",
    ]
    return report


def ask_for_all(server: Server, requests: Sequence[bytes]) -> None:
    """Ask for each of the keys once."""
    size = math.ceil(len(requests) / PARTS)
    for start in range(0, len(requests), size):
        part = requests[start : start + size]
        answered = run_load(Load([server.port], part, seconds=None))
        memory = server.resident_bytes() / MB
        print(
            f"{start + len(part):,} keys, {answered.per_second:.0f}/s, {memory:.0f} MB", flush=True
        )


def _slugs(backend: Backend, count: int) -> list[str]:
    """Give the posts as many more slugs as are missing, and return so many in random order."""
    with psycopg.connect(backend.database_url, autocommit=True) as connection:
        published = backend.query("SELECT count(*) FROM posts_post WHERE status = 'published'")
        connection.execute((SLUGS % math.ceil(count / published)).encode())
        connection.execute("VACUUM ANALYZE posts_postslug")
        rows = connection.execute(
            "SELECT slugs.slug FROM posts_postslug AS slugs "
            "JOIN posts_post ON posts_post.id = post_id "
            "WHERE status = 'published' ORDER BY md5(slugs.slug) LIMIT %s",
            [count],
        )
        return [slug for (slug,) in rows]
