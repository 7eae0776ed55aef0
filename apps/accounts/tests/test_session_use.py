"""Requests write when their session was last used, and none of them waits for that."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from apps.accounts.models import Session
from apps.accounts.tests.people import Person
from testing.server import until


def test_last_use_is_written_once_in_five_minutes(alice: Person) -> None:
    long_ago = timezone.now() - timedelta(minutes=6)
    a_moment_ago = timezone.now() - timedelta(minutes=4)
    Session.objects.update(last_used_at=long_ago)
    alice.get("/auth/profile")
    assert Session.objects.get().last_used_at > a_moment_ago
    Session.objects.update(last_used_at=a_moment_ago)
    alice.get("/auth/profile")
    assert Session.objects.get().last_used_at == a_moment_ago


@pytest.mark.django_db(transaction=True)
def test_no_read_waits_to_write_the_last_use(alice: Person) -> None:
    """It waits neither for the session's row nor, on SQLite, for any other writer."""
    long_ago = timezone.now() - timedelta(minutes=6)
    Session.objects.update(last_used_at=long_ago)

    def read() -> int:
        status: int = alice.get("/auth/profile").status_code
        connections.close_all()
        return status

    with ThreadPoolExecutor(1) as reader:
        with transaction.atomic():
            Session.objects.select_for_update().get()
            reading = reader.submit(read)
            until(reading.done)
            assert reading.result() == 200
        assert Session.objects.get().last_used_at == long_ago
        assert reader.submit(read).result() == 200
    assert Session.objects.get().last_used_at > long_ago
