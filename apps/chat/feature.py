"""What the chat declares of itself."""

from apps.chat.demo import demo
from apps.chat.models import Conversation, Membership, Message
from apps.chat.personal_data import PERSONAL_DATA
from apps.chat.purging import MESSAGES_PURGE
from apps.chat.views import MessageViewSet
from apps.core.features import Feature

FEATURE = Feature(
    routes={"messages": MessageViewSet},
    limits={"send_message": 600, "typing": 120},
    purges={"words of deleted messages": MESSAGES_PURGE},
    counts={
        "conversations": Conversation.objects.count,
        "messages": Message.objects.count,
    },
    personal_data=PERSONAL_DATA,
    enums={
        "MessageType": Message.Type,
        "MessageStatus": Message.Status,
        "GroupRole": Membership.Role,
    },
    notification_categories={
        "messages": "Messages to oneself",
        "mentions": "Messages and comments that name oneself",
    },
    demo=demo,
)
