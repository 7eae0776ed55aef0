"""A request that takes too long in the database is rolled back with 503 and delays no other."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.db import InternalError, OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings

from apps.accounts.tests.people import Person
from apps.core.http.handler import as_domain_error
from apps.core.tests.together import together
from apps.posts.models import Post
from apps.posts.tests.factories import published_by, row
from config import limits
from testing.server import ServerProcess, until

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no such limits"
)
LIMITS = {
    "DB_STATEMENT_TIMEOUT": 30,
    "DB_LOCK_TIMEOUT": 5,
    "DB_IDLE_TRANSACTION_TIMEOUT": 0,
}


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_request_that_waits_too_long_for_a_lock_is_503_and_delays_no_other(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    """There are five requests, one more than threads."""
    post = published_by(alice)
    server = start_server(DB_LOCK_TIMEOUT="1")
    path, headers = f"/api/v1/posts/{post.pk}", {"Authorization": f"Bearer {alice.access}"}

    def rename() -> httpx.Response:
        return server.call("PATCH", path, json={"title": "Night ferry"}, headers=headers)

    with transaction.atomic():
        # On SQLite the transaction itself has taken the one lock there is.
        Post.objects.select_for_update().get(pk=post.pk)
        for answer in together(*[rename] * 5):
            assert isinstance(answer, httpx.Response)
            assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert int(answer.headers["Retry-After"]) > 0
        assert server.call("GET", path).json()["data"]["title"] == post.title
    assert row(post)["title"] == post.title
    assert rename().status_code == 200


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch, db: Any) -> Iterator[BaseDatabaseWrapper]:
    """One more connection, whose statements and transactions have very short limits."""
    one = connections.create_connection("default")
    options = "-c statement_timeout=20ms -c idle_in_transaction_session_timeout=20ms"
    one.settings_dict = {
        **one.settings_dict,
        "OPTIONS": {**one.settings_dict["OPTIONS"], "options": options},
    }
    yield one
    one.close()


@on_postgresql
def test_a_statement_that_takes_too_long_is_503(limited: BaseDatabaseWrapper) -> None:
    with pytest.raises(OperationalError) as caught, limited.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")
    assert as_domain_error(caught.value).status == 503


@pytest.mark.django_db(transaction=True)
@on_postgresql
def test_a_transaction_that_is_idle_for_too_long_is_503(limited: BaseDatabaseWrapper) -> None:
    limited.set_autocommit(False)
    with limited.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        until(lambda: not _lives(pid))
        with pytest.raises(InternalError) as caught:
            cursor.execute("SELECT 1")
    assert as_domain_error(caught.value).status == 503


def _lives(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
        return cursor.fetchone() is not None


@pytest.fixture
def served_by(settings: Settings) -> Callable[..., str]:
    """A function that returns the options of the connections that a server opens."""

    def served_by(given: dict[str, str], **changes: int) -> str:
        for name, value in (LIMITS | changes).items():
            setattr(settings, name, value)
        database: dict[str, Any] = {
            "ENGINE": "django.db.backends.postgresql",
            "OPTIONS": dict(given),
        }
        limits.limit_connections(database)
        return str(database["OPTIONS"].get("options"))

    return served_by


def test_a_server_sends_its_limits_when_it_connects(served_by: Callable[..., str]) -> None:
    assert served_by({}) == "-c statement_timeout=30s -c lock_timeout=5s"


def test_options_of_the_database_url_override_the_limits(served_by: Callable[..., str]) -> None:
    given = {"options": "-c lock_timeout=9s"}
    assert served_by(given).endswith("-c lock_timeout=5s -c lock_timeout=9s")


def test_without_limits_no_options_are_sent(served_by: Callable[..., str]) -> None:
    """PgBouncer refuses connections that send options."""
    assert served_by({}, DB_STATEMENT_TIMEOUT=0, DB_LOCK_TIMEOUT=0) == "None"


@on_postgresql
def test_only_pruning_may_take_longer(limited: BaseDatabaseWrapper) -> None:
    limits.lift_statement_limit(limited)
    with limited.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.integration
@pytest.mark.parametrize("option", ["statement_timeout", "lock_timeout"])
@on_postgresql
def test_a_migration_may_take_hours(option: str, db: Any) -> None:
    """The connections of commands, of which this is one, have no limits."""
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {option}")
        assert cursor.fetchone() == ("0",)
