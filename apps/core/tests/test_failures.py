"""Database errors: whether the transaction was rolled back, and hiding the user data in them."""

import traceback

import pytest
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connection,
)

from apps.accounts.tests.people import Person
from apps.chat.services import Draft, message_send
from apps.core.db.failures import known_rolled_back
from apps.core.http.handler import as_domain_error

# A constant, since the traceback shows lines of this file.
WORDS = "Xylophone"


def with_state(sqlstate: str | None) -> OperationalError:
    """Return an error as Django raises it for a driver error with this SQLSTATE."""
    error = OperationalError()
    error.__cause__ = type("DriverError", (Exception,), {"sqlstate": sqlstate})()
    return error


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03", "57014", "54000"])
def test_an_error_of_a_running_server_is_known_to_be_rolled_back(sqlstate: str) -> None:
    assert known_rolled_back(with_state(sqlstate))


@pytest.mark.parametrize("sqlstate", [None, "08006", "57P01", "40003", "53100"])
def test_the_error_of_a_lost_server_is_not_known_to_be_rolled_back(sqlstate: str | None) -> None:
    assert not known_rolled_back(with_state(sqlstate))


@pytest.mark.parametrize("error", [OperationalError(), InterfaceError()])
def test_an_error_without_a_reason_is_not_known_to_be_rolled_back(error: Exception) -> None:
    assert not known_rolled_back(error)


@pytest.mark.parametrize("error", [IntegrityError(), DataError(), KeyError(), UnicodeError()])
def test_a_value_that_cannot_be_stored_is_known_to_be_rolled_back(error: Exception) -> None:
    assert known_rolled_back(error)


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite cancels no statement.")
def test_a_statement_that_postgresql_cancels_is_known_to_be_rolled_back() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '10ms'")
        with pytest.raises(OperationalError) as caught:
            cursor.execute("SELECT pg_sleep(10)")
    assert known_rolled_back(caught.value)


@pytest.mark.django_db
def test_the_log_of_a_database_error_shows_no_user_data(
    alice: Person, bob: Person, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(IntegrityError) as caught:
        message_send(Draft(alice.user.pk, bob.user.pk, WORDS, type="video"))
    as_domain_error(caught.value)
    [record] = caplog.records
    assert isinstance(record.msg, dict)
    logged = "".join(traceback.format_exception(record.msg["exc_info"]))
    assert "message_type_known" in logged
    assert WORDS not in logged
