"""What the fuzz run needs to know about the chat and cannot guess."""

from collections.abc import Mapping, Sequence
from typing import Any

from testing.fuzz.knowledge import Knowledge
from testing.fuzz.people import EACH, People, Person


def _message(sender: Person, receiver: Person) -> Any:
    return sender.post("/messages", receiverId=receiver.id, content="Hello")


def _past(people: People) -> Mapping[str, Sequence[str | int]]:
    ann, bob = people.ann, people.bob
    messages = [
        message for _ in range(EACH) for message in (_message(ann, bob), _message(bob, ann))
    ]
    return {
        "messages": [message["id"] for message in messages],
        "conversations": [messages[0]["conversationId"]],
    }


KNOWLEDGE = Knowledge(
    real={
        "messages_create": {"body.receiverId": "users"},
        "messages_destroy": {"path.id": "messages"},
        "messages_list": {"query.userId": "users"},
        "messages_read": {
            "body.messageIds[*]": "messages",
            "body.conversationId": "conversations",
        },
    },
    past=_past,
    reasons={"Only text can be sent yet.", "You cannot send a message to yourself."},
    single_use={"messages_destroy"},
    things={"messages_destroy": lambda caller, other: str(_message(caller, other)["id"])},
    values={
        "receiverId": lambda caller, other: other.id,
        "messageIds": lambda caller, other: [_message(other, caller)["id"]],
        "conversationId": lambda caller, other: _message(other, caller)["conversationId"],
        "upTo": lambda caller, other: 1,
        "userId": lambda caller, other: other.id,
    },
)
