"""Who may do what in a chat."""

from uuid import UUID

from apps.accounts.errors import SessionOver
from apps.accounts.models import User
from apps.chat.errors import (
    ConversationNotFound,
    NotYourMessageToDelete,
    ReceiverNotFound,
    ToOneself,
)
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


def require_member(is_member: bool) -> None:
    """Raise ConversationNotFound for who does not belong to a group: to them it is not there."""
    if not is_member:
        raise ConversationNotFound


def require_author(actor: User, message: Message) -> None:
    """Raise NotYourMessageToDelete for a message of somebody else."""
    if message.sender_id != actor.pk:
        raise NotYourMessageToDelete
