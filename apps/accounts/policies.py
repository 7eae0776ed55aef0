"""Who may do what with accounts."""

from apps.accounts.models import User


def may_shut_out(actor: User, user: User) -> bool:
    """Return whether the actor may suspend the person or let him in again: moderators may plain
    users, administrators everybody but themselves."""
    if actor.pk == user.pk or not actor.is_moderator:
        return False
    return actor.role == User.Role.ADMIN or not user.is_moderator
