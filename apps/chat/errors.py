"""What the chat refuses."""

from apps.core.errors import Forbidden, Invalid, NotFound, ServiceUnavailable


class ReceiverNotFound(NotFound):
    message = "Receiver not found"


class MessageNotFound(NotFound):
    message = "Message not found"


class ConversationNotFound(NotFound):
    message = "Conversation not found"


class NotYourMessageToDelete(Forbidden):
    message = "You can only delete your own messages"


class NoConversation(Forbidden):
    message = "You have no conversation with this person"


class ToOneself(Invalid):
    @classmethod
    def refused(cls) -> Invalid:
        """Return the refusal."""
        return cls.field("receiverId", "You cannot send a message to yourself.")


class TooManyWaiting(ServiceUnavailable):
    message = "Too many messages wait to be stored. Try again."
