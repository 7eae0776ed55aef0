"""Who may do what in a chat."""

from apps.accounts.models import User
from apps.chat.models import Membership, Message

Role = Membership.Role
RANKS = {Role.MEMBER: 0, Role.ADMIN: 1, Role.OWNER: 2}


def is_there(user: User | None) -> bool:
    """Return whether a user may send, and be sent to. They were let in as a request or a socket,
    but their message may have waited since."""
    return user is not None and user.is_active


def may_delete(actor: User, message: Message) -> bool:
    """Return whether the actor wrote the message."""
    return message.sender_id == actor.pk


def may_manage(own: Membership) -> bool:
    """Return whether who has this membership may rename the group, and add to it."""
    return own.role in {Role.OWNER, Role.ADMIN}


def may_rule(own: Membership) -> bool:
    """Return whether who has this membership may give roles, and delete the group."""
    return own.role == Role.OWNER


def may_remove(own: Membership, other: Membership) -> bool:
    """Return whether who has the one membership may end the other: everybody their own, and those
    of lower roles."""
    return own.pk == other.pk or RANKS[Role(own.role)] > RANKS[Role(other.role)]
