"""Writes of polls.

Lock order: the poll's row, then the stream of the polls.
"""

from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import require
from apps.realtime.event_log import publish, signal
from polls.errors import NoVoteOfYourOwn, PollNotFound
from polls.events import PollOpened, PollVotes
from polls.models import Poll
from polls.policies import may_vote


@transaction.atomic
def poll_open(actor: User, *, question: str, minutes: int) -> Poll:
    """Return a new poll, which is announced to all subscribers."""
    closes_at = timezone.now() + timedelta(minutes=minutes)
    poll = Poll.objects.create(author=actor, question=question, closes_at=closes_at)
    publish(PollOpened(poll_id=poll.pk, question=question, subject=poll.pk))
    return poll


@transaction.atomic
def poll_vote(actor: User, *, poll_id: UUID) -> Poll:
    """Count one more vote and return the poll; raise PollNotFound or NoVoteOfYourOwn."""
    poll = Poll.objects.select_for_update().filter(pk=poll_id).first()
    if poll is None:
        raise PollNotFound
    require(may_vote(actor, poll), NoVoteOfYourOwn)
    poll.votes += 1
    poll.save(update_fields=["votes"])
    # The number of votes is also their version, so that subscribers keep the latest one.
    votes = PollVotes(poll_id=poll.pk, votes=poll.votes, version=poll.votes)
    transaction.on_commit(partial(signal, votes), robust=True)
    return poll


def polls_prune() -> int:
    """Delete the polls that are closed and return how many there were: an act of the system."""
    return Poll.objects.filter(closes_at__lte=timezone.now()).delete()[0]
