"""Jobs by which notifications leave. Each pending delivery has one, or is in the digest that has
one. It decides again when it is due, and waits on if something delays the delivery by then."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from apps.jobs.enqueuing import jobs_enqueue
from apps.jobs.steps import current_job
from apps.jobs.tasks import JobTask, NotYet, job
from apps.mail.errors import MailRefused
from apps.mail.letters import Letter
from apps.mail.sending import send
from apps.notifications.decisions import Outcome
from apps.notifications.delivering import (
    deliveries_failed,
    deliveries_sent,
    delivery_decide,
    digest_decide,
)
from apps.notifications.letters import MOST_LINES, digest_letter, letter_of
from apps.notifications.models import Channel, Delivery
from apps.notifications.push_tasks import pushes_enqueue

Reason = Delivery.Reason
# A digest begins so long after its time, so that every transaction has ended by then that told the
# user something before: the database ends those that hang (DB_IDLE_TRANSACTION_TIMEOUT).
AFTER_ITS_TIME = timedelta(minutes=1)

# A mail server may be away for some hours.
mail_job = job(attempts=16, time_limit=45, atomic=False)


@mail_job
def deliver(delivery_id: int) -> None:
    """Let a notification leave by a channel, if it is still to leave and is due."""
    decided = delivery_decide(delivery_id)
    if decided is None:
        return
    delivery, outcome = decided
    told = delivery.notification
    if outcome.reason == Reason.DIGEST:
        jobs_enqueue([job_of(delivery.pk, told.recipient_id, outcome)])
    elif outcome.reason != Reason.DUE:
        if outcome.not_before is not None:
            raise NotYet(outcome.not_before)
    elif delivery.channel == Channel.PUSH:
        pushes_enqueue(delivery)
    else:
        _mail(letter_of(told), told.recipient.email, [delivery.pk], mail_id=told.pk)


@mail_job
def digest(user_id: str, due: str) -> None:
    """Mail a user what waits for the digest of a time. The mail has the id of this job."""
    found = digest_decide(UUID(user_id), datetime.fromisoformat(due))
    if found is None:
        return
    jobs_enqueue(_digest_job(found.user.pk, at) for at in sorted(found.later))
    if found.due:
        named = [one.notification for one in found.due[:MOST_LINES]]
        letter = digest_letter(found.user, named, more=len(found.due) - len(named))
        _mail(letter, found.user.email, [one.pk for one in found.due])


def job_of(
    delivery_id: int, user_id: UUID, outcome: Outcome
) -> tuple[JobTask[Any, Any], Sequence[Any]]:
    """Return the job of a pending delivery to a user, and its arguments."""
    assert outcome.not_before is not None
    if outcome.reason == Reason.DIGEST:
        return _digest_job(user_id, outcome.not_before)
    return deliver.with_options(run_after=outcome.not_before), [delivery_id]


def _digest_job(user_id: UUID, due: datetime) -> tuple[JobTask[Any, Any], Sequence[Any]]:
    arguments = [str(user_id), due.isoformat()]
    key = f"digest:{user_id}:{due.isoformat()}"
    return digest.with_options(unique_key=key, run_after=due + AFTER_ITS_TIME), arguments


def _mail(letter: Letter, to: str, deliveries: list[int], mail_id: UUID | None = None) -> None:
    """Send a mail, and note what became of the deliveries that leave with it."""
    if current_job().is_last_attempt:
        # Before it is made, so that it is known if the worker dies in it. What is sent counts.
        deliveries_failed(deliveries, Reason.UNREACHABLE)
    try:
        send(letter, to, mail_id)
    except MailRefused:
        deliveries_failed(deliveries, Reason.REFUSED)
        raise
    deliveries_sent(deliveries)
