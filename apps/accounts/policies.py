"""Who may do what with accounts."""

from apps.accounts.models import Session, User

# The statuses that moderators may change from and to. Only administrators may ban a user or
# reinstate a banned one.
MODERATOR_STATUSES = {User.Status.ACTIVE, User.Status.SUSPENDED}

# Each role may do what those before it may.
ROLES = [User.Role.USER, User.Role.MODERATOR, User.Role.ADMIN]


def is_promotion(user: User, role: str) -> bool:
    """Return whether the role allows more than the user's."""
    return ROLES.index(User.Role(user.role)) < ROLES.index(User.Role(role))


def may_set_status(actor: User, user: User, status: str) -> bool:
    """Return whether the actor may set the user's status. Administrators may set any status of
    anybody but themselves. Moderators may suspend and reinstate users who are not moderators."""
    if actor.pk == user.pk:
        return False
    if actor.role == User.Role.ADMIN:
        return True
    return (
        actor.is_moderator and not user.is_moderator and {user.status, status} <= MODERATOR_STATUSES
    )


def owns(actor: User, session: Session) -> bool:
    """Return whether the session is one of the actor's."""
    return session.user_id == actor.pk
