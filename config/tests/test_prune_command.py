"""manage.py prune: deleting expired rows."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.models import Session, WebsocketTicket
from apps.accounts.tests.people import Person
from apps.core.models import IdempotencyKey


@pytest.mark.parametrize("seconds", ["-5", "0", "1000000000000", "hourly"])
def test_an_interval_that_cannot_be_is_refused(seconds: str) -> None:
    with pytest.raises(CommandError, match="--every: use a whole number from 1 to 100000000"):
        call_command("prune", f"--every={seconds}")


@pytest.mark.django_db(transaction=True)
def test_pruning_reports_what_it_deletes_and_keeps_the_rest(alice: Person) -> None:
    alice.post("/auth/ws-ticket")
    alice.post("/auth/password/change", **{"Idempotency-Key": "old"})
    past = timezone.now() - timedelta(days=2)
    IdempotencyKey.objects.update(created_at=past)
    WebsocketTicket.objects.update(expires_at=past)
    output = StringIO()
    call_command("prune", stdout=output)
    assert "1 idempotency keys deleted" in output.getvalue()
    assert "1 sessions and tickets deleted" in output.getvalue()
    assert not IdempotencyKey.objects.exists()
    assert not WebsocketTicket.objects.exists()
    assert Session.objects.filter(ended_at=None).count() == 1
    assert alice.get("/auth/profile").status_code == 200
