"""What the chat declares of itself."""

from apps.chat.demo import demo
from apps.chat.models import Membership, Message
from apps.chat.views import MessageViewSet
from apps.core.features import Feature

FEATURE = Feature(
    routes={"messages": MessageViewSet},
    limits={"send_message": 600, "typing": 120},
    enums={
        "MessageType": Message.Type,
        "MessageStatus": Message.Status,
        "GroupRole": Membership.Role,
    },
    demo=demo,
)
