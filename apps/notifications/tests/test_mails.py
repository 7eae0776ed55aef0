"""A notification is mailed once, if it still is to be when it is due; its delivery says why."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from apps.accounts.models import User
from apps.accounts.tests.people import Person, set_status
from apps.core.tests.together import together
from apps.jobs.attempts import attempt
from apps.jobs.leases import jobs_take
from apps.jobs.models import Job
from apps.jobs.services import job_retry
from apps.jobs.tasks import QUEUES
from apps.mail.sending import send
from apps.mail.tests.mailbox import Mailbox, text_of
from apps.mail.tests.test_sending import mail_server
from apps.notifications import delivering, tasks
from apps.notifications.models import Delivery, Notification
from apps.notifications.removing import notifications_remove
from apps.notifications.services import notifications_mark_read, preferences_change
from apps.notifications.tests.conftest import Clock, at
from apps.notifications.tests.test_notify import LIKES, tell, why
from testing.queries import statements

pytestmark = pytest.mark.django_db

ALICE = "alice@example.com"
NIGHT = {"from_": "22:00", "to": "07:00", "timezone": "UTC"}


def due() -> list[datetime | None]:
    """Return when the jobs are due that have not ended."""
    return list(Job.objects.filter(due_at__isnull=False).values_list("due_at", flat=True))


def html_of(mail: Any) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def subjects(mailbox: Mailbox) -> list[str]:
    """Return the subjects of all mails, without the name of the server."""
    return [mail["Subject"].partition("] ")[2] for mail in mailbox.mails()]


def test_a_mail_says_what_happened_who_did_it_and_how_to_stop_it(
    verified: Person, bob: Person, mailbox: Mailbox
) -> None:
    [told] = tell(
        [verified], actor=bob.user, title="A new post: Boats", body="Three.", url="/posts/boats"
    )
    [mail] = mailbox.mails()
    assert mail["To"] == ALICE
    assert subjects(mailbox) == ["A new post: Boats"]
    assert mail["Message-ID"] == f"<{told.pk}@localhost>"
    for shown in (text_of(mail), html_of(mail)):
        for part in (
            "A new post: Boats",
            "Three.",
            "From Bob",
            "http://localhost:8080/posts/boats",
        ):
            assert part in shown
        sentence = "your notifications include: Posts of users whom one follows."
        assert sentence in shown.replace("\n", " ")
        assert "Stop these mails" in shown
    assert why(verified)["email"] == ("sent", "sent")
    assert due() == []


def test_what_users_wrote_is_no_markup_and_no_header(verified: Person, mailbox: Mailbox) -> None:
    tell([verified], title="<b>Boats</b>\r\nBcc: eve@example.com\x07", body="<script>")
    [mail] = mailbox.mails()
    assert subjects(mailbox) == ["<b>Boats</b> Bcc: eve@example.com"]
    assert mail["Bcc"] is None
    assert "&lt;b&gt;Boats" in html_of(mail)
    assert "<script" not in html_of(mail)
    assert "<b>Boats</b>" in text_of(mail)


def test_what_is_not_mailed_has_its_reason_and_no_job(alice: Person, bob: Person) -> None:
    bob.user.email_verified = True
    bob.user.save()
    preferences_change(bob.user, email_categories={"posts": False})
    tell([alice, bob])
    assert why(alice)["email"] == ("skipped", "address_unverified")
    assert why(bob)["email"] == ("skipped", "category_email_off")
    assert not Job.objects.exists()


def test_one_more_thing_of_a_group_is_in_the_mail_that_waits(
    verified: Person, clock: Clock, mailbox: Mailbox
) -> None:
    for number in range(3):
        tell([verified], key=f"like {number}", group=LIKES)
    assert len(due()) == 1
    clock.work()
    assert subjects(mailbox) == ["3 people liked your post"]


def read(alice: Person) -> None:
    notifications_mark_read(alice.user, ids=None)


def no_mail(alice: Person) -> None:
    preferences_change(alice.user, email_enabled=False)


def no_posts(alice: Person) -> None:
    preferences_change(alice.user, categories={"posts": False})


def no_mail_of_posts(alice: Person) -> None:
    preferences_change(alice.user, email_categories={"posts": False})


def suspended(alice: Person) -> None:
    set_status(alice.user, "suspended")


def unverified(alice: Person) -> None:
    User.objects.filter(pk=alice.user.pk).update(email_verified=False)


@pytest.mark.parametrize(
    ("happens", "outcome"),
    [
        (read, ("cancelled", "read")),
        (no_mail, ("skipped", "channel_off")),
        (no_posts, ("skipped", "category_off")),
        (no_mail_of_posts, ("skipped", "category_email_off")),
        (suspended, ("skipped", "account_disabled")),
        (unverified, ("skipped", "address_unverified")),
    ],
)
def test_what_happens_before_the_job_counts(
    verified: Person,
    mailbox: Mailbox,
    happens: Callable[[Person], None],
    outcome: tuple[str, str],
) -> None:
    tell([verified])
    happens(verified)
    assert mailbox.mails() == []
    assert why(verified)["email"] == outcome
    assert due() == []


def test_a_block_before_the_job_counts(verified: Person, bob: Person, mailbox: Mailbox) -> None:
    tell([verified], actor=bob.user)
    verified.post(f"/users/{bob.id}/block")
    assert mailbox.mails() == []
    assert why(verified)["email"] == ("skipped", "blocked")


def test_a_notification_that_is_gone_is_not_mailed(verified: Person, mailbox: Mailbox) -> None:
    tell([verified])
    Notification.objects.all().delete()
    assert mailbox.mails() == []
    assert due() == []


def test_quiet_hours_leave_one_job_at_their_end(
    verified: Person, clock: Clock, mailbox: Mailbox
) -> None:
    """They begin after the notification, and end before the user wants longer ones."""
    tell([verified])
    preferences_change(verified.user, quiet_hours=NIGHT)
    clock.pass_to("01-15 23:00")
    assert why(verified)["email"] == ("pending", "quiet_hours")
    assert due() == [at("01-16 07:00")]
    preferences_change(verified.user, quiet_hours={**NIGHT, "to": "09:00"})
    clock.pass_to("01-16 07:00")
    assert due() == [at("01-16 09:00")]
    assert mailbox.mails() == []
    clock.pass_to("01-16 09:00")
    assert len(mailbox.mails()) == 1
    assert why(verified)["email"] == ("sent", "sent")
    assert Job.objects.count() == 1


def test_what_is_told_in_quiet_hours_has_its_job_at_their_end(
    verified: Person, clock: Clock, mailbox: Mailbox
) -> None:
    preferences_change(verified.user, quiet_hours=NIGHT)
    clock.now = at("01-15 23:00")
    tell([verified])
    assert why(verified)["email"] == ("pending", "quiet_hours")
    assert due() == [at("01-16 07:00")]


def test_a_mail_waits_while_a_device_is_active_but_no_longer_than_an_hour(
    verified: Person, clock: Clock, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "is_active", lambda user_id: user_id == verified.user.pk)
    tell([verified])
    clock.work()
    assert why(verified)["email"] == ("pending", "device_active")
    assert due() == [at("01-15 12:05")]
    clock.pass_to("01-15 12:55")
    assert due() == [at("01-15 13:00")]
    assert mailbox.mails() == []
    clock.pass_to("01-15 13:00")
    assert len(mailbox.mails()) == 1


def test_presence_is_asked_only_about_what_would_leave(
    verified: Person, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(user_id: Any) -> bool:
        raise AssertionError("It was asked.")

    monkeypatch.setattr(delivering, "is_active", never)
    tell([verified])
    no_mail(verified)
    mailbox.work()
    assert why(verified)["email"] == ("skipped", "channel_off")


def test_an_address_that_is_refused_for_good_fails(
    verified: Person, mailbox: Mailbox, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    tell([verified])
    with mail_server(RCPT="550 unknown") as settings.EMAIL_PORT:
        settings.EMAIL_HOST = "127.0.0.1"
        mailbox.work()
    assert why(verified)["email"] == ("failed", "refused")
    assert Job.objects.get().status == "failed"


def test_a_mail_server_that_stays_away_fails_in_the_end(
    verified: Person, mailbox: Mailbox, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    tell([verified])
    mailbox.work()
    assert why(verified)["email"] == ("pending", "due")
    Job.objects.update(attempts=tasks.deliver.attempts - 1, due_at="2026-01-01T00:00:00Z")
    mailbox.work()
    assert why(verified)["email"] == ("failed", "unreachable")
    assert Job.objects.get().status == "failed"


class Killed(BaseException):
    """What ends a worker, and no task catches."""


def test_a_worker_killed_between_the_mail_and_its_mark_sends_it_with_the_same_id(
    verified: Person, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell([verified])

    def killed(ids: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "deliveries_sent", killed)
        with pytest.raises(Killed):
            mailbox.work()
    assert why(verified)["email"] == ("pending", "due")
    Job.objects.update(due_at="2026-01-01T00:00:00Z")
    mails = mailbox.mails()
    assert len(mails) == 2
    assert len({mail["Message-ID"] for mail in mails}) == 1
    assert why(verified)["email"] == ("sent", "sent")


def in_the_last_attempt() -> None:
    last = tasks.deliver.attempts - 1
    Job.objects.update(status="pending", lease=None, attempts=last, due_at="2026-01-01T00:00:00Z")


def test_a_worker_that_dies_in_the_last_attempt_leaves_no_mail_pending(
    verified: Person, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell([verified])
    in_the_last_attempt()

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "send", killed)
        with pytest.raises(Killed):
            mailbox.work()
    assert why(verified)["email"] == ("failed", "unreachable")


def test_a_last_attempt_that_succeeds_counts(verified: Person, mailbox: Mailbox) -> None:
    tell([verified])
    in_the_last_attempt()
    assert len(mailbox.mails()) == 1
    assert why(verified)["email"] == ("sent", "sent")


def test_what_was_unreachable_is_mailed_when_an_operator_tries_its_job_again(
    verified: Person, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell([verified])
    in_the_last_attempt()

    def away(*_: Any) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "send", away)
        mailbox.work()
    job_retry(Job.objects.get().pk)
    assert len(mailbox.mails()) == 1
    assert why(verified)["email"] == ("sent", "sent")


def test_what_is_read_while_it_leaves_has_left(
    verified: Person, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send_and_read(*given: Any) -> None:
        send(*given)
        read(verified)

    monkeypatch.setattr(tasks, "send", send_and_read)
    tell([verified])
    assert len(mailbox.mails()) == 1
    assert why(verified)["email"] == ("sent", "sent")


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_mail_server_is_talked_to(
    verified: Person, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setattr(tasks, "send", lambda *_: opened.append(connection.in_atomic_block))
    tell([verified])
    mailbox.work()
    assert opened == [False]


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_one_job_send_one_id_and_record_it_once(
    verified: Person, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one was frozen, so that its lease ended and the second one took the job."""
    sent: list[Any] = []
    monkeypatch.setattr(tasks, "send", lambda letter, to, mail_id: sent.append(mail_id))
    [told] = tell([verified])
    [frozen] = jobs_take("frozen", QUEUES, 1)
    Job.objects.update(due_at="2026-01-01T00:00:00Z")
    [taken] = jobs_take("other", QUEUES, 1)
    outcomes = together(lambda: attempt(frozen), lambda: attempt(taken))
    assert outcomes == [None, None]
    assert set(sent) == {told.pk}
    assert why(verified)["email"] == ("sent", "sent")
    assert (Job.objects.get().status, Job.objects.get().attempts) == ("completed", 2)


@pytest.mark.django_db(transaction=True)
def test_marking_as_read_and_sending_at_once_do_not_deadlock(
    verified: Person, mailbox: Mailbox
) -> None:
    for number in range(10):
        tell([verified], key=str(number))
    ids = list(Delivery.objects.filter(channel="email").values_list("pk", flat=True))
    outcomes = together(lambda: read(verified), lambda: delivering.deliveries_sent(reversed(ids)))
    assert outcomes == [None, None]
    found = Delivery.objects.filter(channel="email").values_list("decision", flat=True)
    assert set(found) == {"sent"}


@pytest.mark.django_db(transaction=True)
def test_marking_as_read_and_removing_at_once_do_not_deadlock(
    verified: Person, bob: Person
) -> None:
    """Bob, who did it all, is erased while Alice reads it."""
    for number in range(200):
        tell([verified], key=str(number), actor=bob.user)
    of_bob = Notification.objects.filter(actor=bob.user).order_by("pk")
    outcomes = together(lambda: read(verified), lambda: notifications_remove(of_bob))
    assert outcomes == [None, 200]
    assert not Notification.objects.exists()


def test_telling_500_users_takes_as_many_statements_as_telling_one(
    verified: Person,
) -> None:
    with statements() as of_one:
        tell([verified], key="one")
    users = User.objects.bulk_create(
        User(name=f"User {n}", email=f"user{n}@example.com", email_verified=True, password="x")
        for n in range(500)
    )
    with statements() as of_many:
        tell([Person(user, verified.client, "", "") for user in users], key="many")
    assert len(of_many) == len(of_one), of_many
    assert Job.objects.count() == 501
