"""The refusals of the chat."""

from collections.abc import Collection, Sequence
from uuid import UUID

from apps.core.errors import (
    BadRequest,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    ServiceUnavailable,
)


class ReceiverNotFound(NotFound):
    message = "Receiver not found"


class MessageNotFound(NotFound):
    message = "Message not found"


class ConversationNotFound(NotFound):
    message = "Conversation not found"


class MemberNotFound(NotFound):
    message = "Member not found"


class NotYourMessageToDelete(Forbidden):
    message = "You can only delete your own messages"


class NoConversation(Forbidden):
    message = "You have no conversation with this user"


class NotYourGroupToManage(Forbidden):
    message = "Only the owner and the admins of a group can do this"


class NotGroupOwner(Forbidden):
    message = "Only the owner of a group can do this"


class NotYoursToRemove(Forbidden):
    message = "You can only remove members whose role is lower than yours"


class MayNotAddSome(Forbidden):
    # It does not say which of them, nor who has blocked whom.
    message = "You cannot add some of these users"


class OwnerMustStay(BadRequest):
    message = "Make another member the owner first, or delete the group"


class GroupFull(BadRequest):
    message = "A group has at most 500 members"


class TooManyGroups(BadRequest):
    message = "Some of these users are already in 500 groups, which is the limit"


class ToOneself(Invalid):
    @classmethod
    def refused(cls) -> Invalid:
        """Return the refusal."""
        return cls.field("receiverId", "You cannot send a message to yourself.")


class UnknownUsers(Invalid):
    @classmethod
    def among(cls, field: str, users: Sequence[UUID], known: Collection[UUID]) -> Invalid:
        """Return the refusal, which names the unknown users of the field."""
        return cls(
            errors=[
                FieldError(f"{field}.{number}", "There is no such user.", "does_not_exist")
                for number, user in enumerate(users)
                if user not in known
            ]
        )


class TooManyWaiting(ServiceUnavailable):
    message = "Too many messages wait to be stored. Try again."
