"""The refusals of accounts."""

from apps.core.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound, Unauthorized


class InvalidCredentials(Unauthorized):
    message = "Invalid credentials"


class AccountSuspended(Unauthorized):
    code = "ACCOUNT_SUSPENDED"
    message = "Your account is suspended. A moderator has to reinstate it before you can log in."


class InvalidToken(Unauthorized):
    message = "The token is invalid or expired"


class SessionOver(Unauthorized):
    message = "The session is over. Log in again."


class EmailTaken(Conflict):
    message = "A user with this email already exists"


class UserNotFound(NotFound):
    message = "User not found"


class Oneself(Invalid):
    @classmethod
    def refused(cls) -> Invalid:
        """Return the refusal of what one can only do with another user."""
        return cls.field("id", "This is only possible with another user.", "oneself")


class UsersBlocked(Forbidden):
    # It does not say who has blocked whom.
    message = "You cannot interact with this user"


class SessionNotFound(NotFound):
    message = "Session not found"


class WrongPassword(Invalid):
    @classmethod
    def current(cls) -> Invalid:
        """Return the refusal of a password change whose current password is wrong."""
        return cls.field("currentPassword", "This is not your current password.", "wrong_password")


class OriginNotAllowed(Forbidden):
    message = "Websockets may not be opened from this origin"


class MayNotSetStatus(Forbidden):
    message = "You may not set this user's status"


class NoPromotion(Conflict):
    message = "The user's role allows as much already"


class UserDisabled(Conflict):
    message = "The user may not log in at present"


class MayNotSetRole(Forbidden):
    message = "You may not set this user's role"


class MayNotEndSession(Forbidden):
    message = "You may not end sessions of this user"


class EmptyProfileUpdate(BadRequest):
    message = "Send at least one field to change"
