"""Who may do what with accounts."""

from apps.accounts.models import Session, User

# What moderators may change; to ban somebody, and to let in who is banned, is for administrators.
OF_MODERATORS = {User.Status.ACTIVE, User.Status.SUSPENDED}


def may_set_status(actor: User, user: User, status: str) -> bool:
    """Return whether the actor may give the person this status: administrators any to anybody but
    themselves, moderators may suspend plain users and let in whom they may suspend."""
    if actor.pk == user.pk:
        return False
    if actor.role == User.Role.ADMIN:
        return True
    return actor.is_moderator and not user.is_moderator and {user.status, status} <= OF_MODERATORS


def owns(actor: User, session: Session) -> bool:
    """Return whether the session is one of the actor's own."""
    return session.user_id == actor.pk
