"""Conversations, their members and messages, and what was read and delivered."""

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
