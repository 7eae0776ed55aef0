"""Who may do what in the chat."""

from apps.accounts.models import User
from apps.chat.models import Membership, Message

Role = Membership.Role
RANKS = {Role.MEMBER: 0, Role.ADMIN: 1, Role.OWNER: 2}


def may_chat(user: User | None) -> bool:
    """Return whether a user may send messages and receive them. Their request was admitted, but the
    message may have waited since: the account may be suspended or deleted by now."""
    return user is not None and user.is_active


def may_delete(actor: User, message: Message) -> bool:
    """Return whether the actor wrote the message."""
    return message.sender_id == actor.pk


def may_manage(own: Membership) -> bool:
    """Return whether a member with this membership may rename the group and add members."""
    return own.role in {Role.OWNER, Role.ADMIN}


def is_owner(own: Membership) -> bool:
    """Return whether a member with this membership may change roles and delete the group."""
    return own.role == Role.OWNER


def may_remove(own: Membership, other: Membership) -> bool:
    """Return whether a member may end the other membership: their own, or one of a lower role."""
    return own.pk == other.pk or RANKS[Role(own.role)] > RANKS[Role(other.role)]
