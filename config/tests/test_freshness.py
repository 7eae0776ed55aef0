"""No reader is shown what a writer was told they have replaced, but for a stated time."""

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.accounts.tests.people import Person, person
from apps.posts.tests.factories import published_by
from config.tests.freshness import Readers, Writer, write_and_read
from testing.proxy import Proxy
from testing.server import ServerProcess

# As many as fit into a short test. With PARLEY_CROWD=1 there are 50 writers and 200 readers.
CROWD = bool(os.environ.get("PARLEY_CROWD"))
WRITERS, READERS, SECONDS = (50, 200, 10.0) if CROWD else (4, 24, 3.0)
# A load that takes its time is often older than a change that it meets.
SLOW = "slow-loads"
CACHE_SECONDS = 2
REDIS = os.environ.get("REDIS_URL", "")

Start = Callable[..., ServerProcess]
two_processes = pytest.mark.skipif(not REDIS, reason="Two processes need Redis.")


@pytest.fixture
def writers(transactional_db: Any) -> list[Writer]:
    people = [person(f"Writer{number}") for number in range(WRITERS)]
    return [Writer(one, str(published_by(one).pk)) for one in people]


def saw(writers: list[Writer], ports: list[int], carol: Person, elsewhere: float) -> Readers:
    found = asyncio.run(
        write_and_read(writers, ports, carol, READERS, elsewhere=elsewhere, seconds=SECONDS)
    )
    assert found.wrong or found.count > READERS
    return found


def test_no_reader_of_the_writers_process_is_shown_the_old(
    start_server: Start, writers: list[Writer], carol: Person
) -> None:
    server = start_server(CACHE_SECONDS=str(CACHE_SECONDS), PARLEY_TAMPER=SLOW, REDIS_URL="")
    assert saw(writers, [server.port], carol, 0).wrong == []


@pytest.mark.parametrize("broken", ["ignores-drops", "keeps-old-loads", "joins-old-loads"])
def test_build_that_keeps_the_old_is_caught(
    start_server: Start, writers: list[Writer], carol: Person, broken: str
) -> None:
    tamper = f"{SLOW},{broken}"
    server = start_server(CACHE_SECONDS=str(CACHE_SECONDS), PARLEY_TAMPER=tamper, REDIS_URL="")
    assert saw(writers, [server.port], carol, 0).wrong != []


@two_processes
def test_no_reader_of_another_process_is_shown_what_is_older_than_a_second(
    start_server: Start, writers: list[Writer], carol: Person
) -> None:
    both = [start_server(CACHE_SECONDS="60", PARLEY_TAMPER=SLOW) for _ in range(2)]
    assert saw(writers, [one.port for one in both], carol, 1).wrong == []


@pytest.fixture
def dying_redis() -> Iterator[Proxy]:
    port = int(REDIS.rpartition(":")[2].partition("/")[0])
    with Proxy(port) as proxy:
        yield proxy


@two_processes
@pytest.mark.parametrize(
    ("tamper", "seconds", "holds"),
    [
        (SLOW, CACHE_SECONDS, True),
        (f"{SLOW},without-notices", CACHE_SECONDS, True),
        (f"{SLOW},without-notices", 3600, False),
    ],
    ids=["with notices", "without notices", "without bound"],
)
def test_while_redis_is_dead_nothing_is_older_than_cache_seconds(
    start_server: Start,
    writers: list[Writer],
    carol: Person,
    dying_redis: Proxy,
    tamper: str,
    seconds: int,
    holds: bool,
) -> None:
    url = f"redis://127.0.0.1:{dying_redis.port}"
    both = [
        start_server(CACHE_SECONDS=str(seconds), PARLEY_TAMPER=tamper, REDIS_URL=url)
        for _ in range(2)
    ]
    dying_redis.die()
    found = saw(writers, [one.port for one in both], carol, CACHE_SECONDS + 1)
    assert (found.wrong == []) == holds
