"""Who may do what with accounts."""

from apps.accounts.models import Session, User

# The statuses that moderators may change from and to. Only administrators may ban a user or
# reinstate a banned one.
MODERATOR_STATUSES = {User.Status.ACTIVE, User.Status.SUSPENDED}


def may_set_status(actor: User, user: User, status: str) -> bool:
    """Return whether the actor may set the user's status. Administrators may set any status of
    anybody but themselves. Moderators may suspend and reinstate users who are not moderators."""
    if actor.pk == user.pk or not actor.is_active:
        return False
    if actor.role == User.Role.ADMIN:
        return True
    return (
        actor.is_moderator and not user.is_moderator and {user.status, status} <= MODERATOR_STATUSES
    )


def may_set_role(actor: User, user: User) -> bool:
    """Return whether the actor may set the user's role. Administrators may set that of anybody but
    themselves, so that one always remains."""
    return actor.role == User.Role.ADMIN and actor.is_active and actor.pk != user.pk


def is_promotion(user: User, role: str) -> bool:
    """Return whether a role allows more than the user's."""
    ranks = list(User.Role)
    return ranks.index(User.Role(role)) > ranks.index(User.Role(user.role))


def may_end_session(actor: User, user: User) -> bool:
    """Return whether the actor may end sessions of the user: their own, as an administrator those
    of everybody, and as a moderator those of plain users."""
    if not actor.is_active or actor.pk == user.pk or actor.role == User.Role.ADMIN:
        return actor.is_active
    return actor.is_moderator and not user.is_moderator


def owns(actor: User, session: Session) -> bool:
    """Return whether the session is one of the actor's."""
    return session.user_id == actor.pk
