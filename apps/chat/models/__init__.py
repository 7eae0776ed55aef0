"""Conversations, who belongs to them, what they said, and who has read it."""

from apps.chat.models.conversation import Conversation, Pair, pair_of
from apps.chat.models.membership import DeliveryCursor, Membership
from apps.chat.models.message import Message
from apps.chat.models.receipt import Receipt

__all__ = [
    "Conversation",
    "DeliveryCursor",
    "Membership",
    "Message",
    "Pair",
    "Receipt",
    "pair_of",
]
