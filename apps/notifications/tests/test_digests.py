"""Users who chose it get one mail a day, with what they have not read."""

from typing import Any

import pytest

from apps.accounts.relations import user_block
from apps.accounts.tests.people import Person, set_status
from apps.jobs.models import Job
from apps.mail.tests.mailbox import Mailbox, text_of
from apps.notifications import tasks
from apps.notifications.models import Delivery, Notification
from apps.notifications.services import notifications_mark_read, preferences_change
from apps.notifications.tests.conftest import Clock, at
from apps.notifications.tests.test_mails import Killed, due, html_of, subjects
from apps.notifications.tests.test_notify import tell, why

pytestmark = pytest.mark.django_db

# A digest begins a minute after its time.
TOMORROW = "01-16 08:01"


@pytest.fixture
def reader(verified: Person, clock: Clock) -> Person:
    """Alice, who wants a digest."""
    preferences_change(verified.user, digest="daily")
    return verified


def outcomes() -> set[tuple[str, str]]:
    """Return decision and reason of all deliveries by mail."""
    found = Delivery.objects.filter(channel="email")
    return {(one.decision, one.reason) for one in found}


def test_a_digest_is_one_mail_with_one_job_at_its_time(
    reader: Person, clock: Clock, mailbox: Mailbox
) -> None:
    for number in range(3):
        tell([reader], key=str(number), title=f"News {number}", url=f"/posts/{number}")
    assert outcomes() == {("pending", "digest")}
    assert due() == [at(TOMORROW)]
    clock.pass_to("01-16 08:00")
    assert mailbox.mails() == []
    clock.pass_to(TOMORROW)
    [mail] = mailbox.mails()
    assert mail["To"] == "alice@example.com"
    assert subjects(mailbox) == ["3 unread notifications"]
    for shown in (text_of(mail), html_of(mail)):
        assert shown.index("News 2") < shown.index("News 1") < shown.index("News 0")
        assert "http://localhost:8080/posts/2" in shown
        assert "a digest of your notifications once a day" in shown
    assert outcomes() == {("sent", "sent")}
    assert due() == []


def test_what_was_read_is_not_in_it(reader: Person, clock: Clock, mailbox: Mailbox) -> None:
    [first] = tell([reader], key="one", title="First")
    tell([reader], key="two", title="Second")
    notifications_mark_read(reader.user, ids=[first.pk])
    clock.pass_to(TOMORROW)
    [mail] = mailbox.mails()
    assert subjects(mailbox) == ["1 unread notification"]
    assert "First" not in text_of(mail)
    assert outcomes() == {("sent", "sent"), ("cancelled", "read")}


def test_nothing_unread_is_no_mail(reader: Person, clock: Clock, mailbox: Mailbox) -> None:
    tell([reader])
    notifications_mark_read(reader.user, ids=None)
    clock.pass_to(TOMORROW)
    assert mailbox.mails() == []
    assert Job.objects.get().status == "completed"


def test_it_names_50_and_counts_the_rest(reader: Person, clock: Clock, mailbox: Mailbox) -> None:
    for number in range(53):
        tell([reader], key=str(number), title=f"News {number}.")
    clock.pass_to(TOMORROW)
    text = text_of(mailbox.latest("alice"))
    assert "- News 52." in text
    assert "- News 3." in text
    assert "- News 2." not in text
    assert "- and 3 more" in text
    assert outcomes() == {("sent", "sent")}


def test_the_next_day_has_a_digest_of_its_own(
    reader: Person, clock: Clock, mailbox: Mailbox
) -> None:
    tell([reader], key="one", title="First")
    clock.now = at("01-16 08:00")
    tell([reader], key="two", title="Second")
    assert sorted(map(str, due())) == [str(at(TOMORROW)), str(at("01-17 08:01"))]
    clock.pass_to(TOMORROW)
    clock.pass_to("01-17 08:01")
    first, second = mailbox.mails()
    assert "First" in text_of(first)
    assert "Second" not in text_of(first)
    assert "First" not in text_of(second)
    assert first["Message-ID"] != second["Message-ID"]


def test_a_worker_killed_between_the_digest_and_its_marks_sends_it_with_the_same_id(
    reader: Person, clock: Clock, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(ids: Any) -> None:
        raise Killed

    for number in range(3):
        tell([reader], key=str(number))
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "deliveries_sent", killed)
        with pytest.raises(Killed):
            clock.pass_to(TOMORROW)
    assert outcomes() == {("pending", "digest")}
    Job.objects.update(due_at="2026-01-01T00:00:00Z")
    mails = mailbox.mails()
    assert len(mails) == 2
    assert len({mail["Message-ID"] for mail in mails}) == 1
    assert outcomes() == {("sent", "sent")}


def test_a_digest_that_is_turned_off_still_ends_what_waits_for_it(
    reader: Person, clock: Clock, mailbox: Mailbox
) -> None:
    tell([reader], key="one", title="First")
    preferences_change(reader.user, digest="off")
    tell([reader], key="two", title="Second")
    clock.work()
    assert subjects(mailbox) == ["Second"]
    clock.pass_to(TOMORROW)
    assert subjects(mailbox)[1:] == ["1 unread notification"]


def test_a_mail_that_waits_joins_a_digest_that_is_turned_on(
    verified: Person, clock: Clock, mailbox: Mailbox
) -> None:
    tell([verified], key="one")
    preferences_change(verified.user, digest="daily")
    tell([verified], key="two")
    clock.work()
    assert outcomes() == {("pending", "digest")}
    assert due() == [at(TOMORROW)]
    clock.pass_to(TOMORROW)
    assert subjects(mailbox) == ["2 unread notifications"]


def test_quiet_hours_that_were_made_longer_delay_a_digest(
    reader: Person, clock: Clock, mailbox: Mailbox
) -> None:
    tell([reader])
    quiet = {"from_": "22:00", "to": "10:00", "timezone": "UTC"}
    preferences_change(reader.user, quiet_hours=quiet)
    clock.pass_to(TOMORROW)
    assert mailbox.mails() == []
    assert due() == [at("01-16 10:01")]
    clock.pass_to("01-16 10:01")
    assert len(mailbox.mails()) == 1
    assert outcomes() == {("sent", "sent")}


def test_a_digest_leaves_out_what_is_not_to_be_mailed_any_more(
    reader: Person, bob: Person, clock: Clock, mailbox: Mailbox
) -> None:
    tell([reader], key="one", category="likes", title="Liked")
    tell([reader], key="two", title="By Bob", actor=bob.user)
    tell([reader], key="three", title="Third")
    preferences_change(reader.user, email_categories={"likes": False})
    user_block(reader.user, user_id=bob.user.pk)
    clock.pass_to(TOMORROW)
    assert subjects(mailbox) == ["1 unread notification"]
    assert outcomes() == {
        ("skipped", "category_email_off"),
        ("skipped", "blocked"),
        ("sent", "sent"),
    }


def test_a_suspended_user_and_one_who_is_gone_get_no_digest(
    reader: Person, bob: Person, clock: Clock, mailbox: Mailbox
) -> None:
    bob.user.email_verified = True
    bob.user.save()
    preferences_change(bob.user, digest="daily")
    tell([reader, bob])
    set_status(reader.user, "suspended")
    Notification.objects.filter(recipient=bob.user).delete()
    clock.pass_to(TOMORROW)
    assert mailbox.mails() == []
    assert why(reader)["email"] == ("skipped", "account_disabled")
