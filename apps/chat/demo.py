"""Conversations for a demonstration."""

from apps.accounts.demo import demo_users
from apps.accounts.models import User
from apps.chat.models import Conversation
from apps.chat.receipts import messages_mark_read
from apps.chat.services import Draft, messages_send

LINES = (
    "Did you read the one about the log?",
    "I did, twice. The second time aloud.",
    "And?",
    "I will try it on Monday.",
    "Tell me how it went!",
    "It went well. See you at six?",
)


def demo() -> str:
    """Let the demonstration users write to each other; return a sentence with the number of
    messages."""
    users = demo_users()
    messages = sum(
        _conversation(users[one], users[other])
        for one in range(len(users))
        for other in (one + 1, one + 3)
        if other < len(users)
    )
    return f"Added {messages} messages."


def _conversation(one: User, other: User) -> int:
    """Let two users write to each other, unless they have done so before; the last line stays
    unread. Return the number of messages."""
    if Conversation.objects.between(one.pk, other.pk).exists():
        return 0
    turns = [(one, other), (other, one)]
    outcomes = messages_send(
        [
            Draft(turns[number % 2][0].pk, turns[number % 2][1].pk, line)
            for number, line in enumerate(LINES)
        ]
    )
    conversation = Conversation.objects.between(one.pk, other.pk).get()
    for reader in (one, other):
        messages_mark_read(reader.pk, conversation_id=conversation.pk, up_to=len(LINES) - 1)
    return len(outcomes)
