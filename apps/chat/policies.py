"""Who may do what in a chat."""

from uuid import UUID

from apps.accounts.errors import SessionOver
from apps.accounts.models import User
from apps.chat.errors import ReceiverNotFound, ToOneself
from apps.chat.models import Message


def require_sender(sender: User | None) -> None:
    """Raise SessionOver for who is not there any more, or was shut out.

    They were let in as a request or a socket, but their message may have waited since.
    """
    if sender is None or not sender.is_active:
        raise SessionOver


def require_may_send(sender_id: UUID, receiver_id: UUID, receiver: User | None) -> None:
    """Raise ToOneself or, for who is not there or shut out, ReceiverNotFound."""
    if sender_id == receiver_id:
        raise ToOneself.refused()
    if receiver is None or not receiver.is_active:
        raise ReceiverNotFound


def takes_part(user: User, message: Message) -> bool:
    """Return whether the message was sent by or to the person."""
    return user.pk in {message.sender_id, message.receiver_id}
