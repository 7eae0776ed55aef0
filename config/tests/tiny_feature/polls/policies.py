"""Who may do what with a poll."""

from apps.accounts.models import User
from polls.models import Poll


def may_vote(actor: User, poll: Poll) -> bool:
    """Return whether the user may vote: everybody may but the author."""
    return poll.author_id != actor.pk
