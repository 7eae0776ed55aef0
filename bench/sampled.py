"""Parley in one thread, which notes what it does whenever it has taken some processor time:
python -m bench.sampled serve --port PORT.

Everything runs on the loop's thread, so that each sample belongs to what takes the time. SIGUSR2
writes the samples since the last one to the file PARLEY_SAMPLES. It runs in the folder of either
build, so it uses no other module of the benchmarks.
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

# The system takes a sample at its next tick after so much processor time, in seconds.
INTERVAL = 0.001
# What a function belongs to, by its file and name. The innermost function that is listed counts.
PARTS = [
    (part, re.compile(pattern))
    for part, pattern in (
        ("SQL", r"/django/db/|/psycopg|/selectors\.py|/core/(db/)?sql\.py"),
        ("limit", r"/redis/|/django_redis/|/ratelimit\.py|/redis_limiter\.py"),
        (
            "token",
            r"/jwt/|/rest_framework_simplejwt/"
            r"|/accounts/(authentication|tokens|known_sessions|sessions)\.py",
        ),
        ("log", r"/structlog/|/logging/|/(request_log|log_queue|logs)\.py"),
        (
            "rendering",
            r"/serializers\.py|/shapes\.py|/envelope\.py|/head_lines\.py|hot_reads\.py:render"
            r"|/rest_framework/(renderers|fields|relations|response)\.py",
        ),
        (
            "view",
            r"/rest_framework/|/django/urls/"
            r"|/(views|viewsets|endpoints|pagination|services|idempotency|conditional)\.py",
        ),
        ("middleware", r"middleware|/corsheaders/|/whitenoise/|/django/core/handlers/"),
        ("hot read", r"/(kept|gather|hot_reads)\.py"),
    )
]
# All that no other part covers: uvicorn, the loop, the bridge, and the kernel's work for them.
SERVER = "server"


def part_of(functions: list[str]) -> str:
    """Return the part that a stack of functions, the innermost first, belongs to."""
    for function in functions:
        for part, pattern in PARTS:
            if pattern.search(function):
                return part
    return SERVER


class Samples:
    """The samples that were taken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counts: Counter[str] = Counter()

    def take(self, number: int, frame: FrameType | None) -> None:
        """Count what runs now."""
        functions = []
        while frame is not None:
            functions.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
            frame = frame.f_back
        self._counts[part_of(functions)] += 1

    def write(self, number: int, frame: FrameType | None) -> None:
        """Write the counts and begin again."""
        written, self._counts = json.dumps(self._counts), Counter()
        new = self._path.with_suffix(".new")
        new.write_text(written)
        new.replace(self._path)


def run_in_the_loop() -> None:
    """Let the pools of threads run their work at once, on the loop's thread."""
    from apps.core.threads import BoundedPool

    async def run(pool: Any, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # What has arrived already may join, as it may while a thread is woken.
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        # The work finds no loop, as in a thread of a pool.
        asyncio._set_running_loop(None)
        try:
            return work(*args, **kwargs)
        finally:
            asyncio._set_running_loop(loop)

    async def run_for(pool: Any, owner: str, work: Callable[[], Any]) -> Any:
        return await run(pool, work)

    BoundedPool.run = run  # type: ignore[method-assign, assignment]
    BoundedPool.run_for = run_for  # type: ignore[method-assign, assignment]


def main() -> None:
    """Serve, and take samples."""
    run_in_the_loop()
    samples = Samples(Path(os.environ["PARLEY_SAMPLES"]))
    signal.signal(signal.SIGUSR2, samples.write)
    signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
