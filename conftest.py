"""Fixtures that all tests share: named people, and real servers. What an app brings to all tests is
in its `tests/fixtures.py`."""

import functools
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.core.management.color import no_style
from django.core.management.commands import flush
from django.db import OperationalError, connection

from apps.accounts.models import User
from apps.accounts.tests.people import Person, anonymous_client, person
from apps.core.kept import clear_caches
from apps.core.ratelimit import limiter
from testing.client import ContractClient
from testing.server import ServerProcess, database_url, until

HERE = Path(__file__).parent
pytest_plugins = [
    ".".join(path.relative_to(HERE).with_suffix("").parts)
    for path in HERE.glob("apps/*/tests/fixtures.py")
]


# How often a test may try to empty the tables.
MOST_FLUSHES = 5


def empty_tables() -> None:
    """Empty all tables but those that `migrate` fills, which Django's flush would fill again."""
    filled = {ContentType._meta.db_table, Permission._meta.db_table}
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    statements = connection.ops.sql_flush(no_style(), [one for one in tables if one not in filled])
    connection.ops.execute_sql_flush(statements)


@pytest.fixture(scope="session", autouse=True)
def _flush_again_after_deadlocks() -> Iterator[None]:
    """Empty the tables after a test in a fast way, and again when it fails: the server that tests
    share writes for some seconds that the users of an earlier test have left, and a deadlock with
    it can hit either side."""

    def handle(*_: Any, **__: Any) -> None:
        for left in reversed(range(MOST_FLUSHES)):
            try:
                empty_tables()
                return
            except OperationalError:
                if not left:
                    raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", handle)
        yield


@pytest.fixture(autouse=True)
def _fresh_limits() -> Iterator[None]:
    """Reset what other tests have used up of the limits, and what was kept of their rows."""
    limiter.cache_clear()
    clear_caches()
    yield
    cache.clear()


@pytest.fixture
def alice(db: Any) -> Person:
    return person("Alice")


@pytest.fixture
def bob(db: Any) -> Person:
    return person("Bob")


@pytest.fixture
def carol(db: Any) -> Person:
    return person("Carol")


@pytest.fixture
def moderator(db: Any) -> Person:
    return person("Morton", User.Role.MODERATOR)


@pytest.fixture
def anonymous() -> ContractClient:
    """A client that is not logged in."""
    return anonymous_client()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed: hashing is what makes a login slow."""
    passwords = []
    encode = MD5PasswordHasher.encode

    def noted(hasher: MD5PasswordHasher, password: str, salt: str) -> str:
        passwords.append(password)
        return encode(hasher, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", noted)
    return passwords


@pytest.fixture
def start_server(transactional_db: Any, tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """A function that starts one more server process on this test's database."""
    with ExitStack() as running:

        def start(**environment: str) -> ServerProcess:
            log = tmp_path / f"server-{len(list(tmp_path.iterdir()))}.log"
            return running.enter_context(ServerProcess(log, environment))

        yield start


@pytest.fixture(scope="module")
def _started(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., ServerProcess]]:
    with ExitStack() as running:

        @functools.cache
        def start(_: int, **environment: str) -> ServerProcess:
            log = tmp_path_factory.mktemp("server") / "log"
            with django_db_blocker.unblock():
                return running.enter_context(ServerProcess(log, environment))

        yield start


@pytest.fixture
def start_once(
    transactional_db: Any, _started: Callable[..., ServerProcess]
) -> Iterator[Callable[..., ServerProcess]]:
    """A function that returns the server process of a file of tests with an environment, or of
    several such processes the one of a `number`. Its sockets close before the tables are
    emptied."""
    used: list[ServerProcess] = []

    def start(number: int = 0, **environment: str) -> ServerProcess:
        used.append(_started(number, **environment))
        return used[-1]

    yield start
    for server in used:
        until(lambda: server.open_sockets() == 0)  # noqa: B023


@pytest.fixture
def empty_database(django_db_setup: None, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables, on the same backend as this test's."""
    if connection.vendor == "sqlite":
        yield f"sqlite://{tmp_path}/empty.sqlite3"
        return
    server, name = database_url().rpartition("/")[0], f"empty_{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as administrator:
        administrator.execute(f'CREATE DATABASE "{name}"'.encode())
        yield f"{server}/{name}"
        administrator.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(scope="session")
def _shared_server(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with django_db_blocker.unblock():
        process = ServerProcess(tmp_path_factory.mktemp("server") / "log")
    with process:
        yield process


@pytest.fixture
def server(transactional_db: Any, _shared_server: ServerProcess) -> Iterator[ServerProcess]:
    """A server process that many tests share; its sockets close before the tables are emptied."""
    yield _shared_server
    until(lambda: _shared_server.open_sockets() == 0)
