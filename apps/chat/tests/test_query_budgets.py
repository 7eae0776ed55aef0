"""Every operation of the chat keeps to its recorded number of database queries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.accounts.tests.people import Person, person
from apps.chat.models import Message
from apps.chat.receipts import messages_mark_read
from apps.chat.services import Draft, message_delete, messages_send
from testing.queries import within_budget

pytestmark = pytest.mark.django_db

BUDGETS = Path(__file__).with_name("query_budgets.json")


@dataclass
class Scene:
    """Conversations of several users, one of whom calls, and the messages that they have not
    read."""

    alice: Person
    bob: Person
    messages: Sequence[Message]


@pytest.fixture
def scene(alice: Person, bob: Person, carol: Person) -> Scene:
    people = [alice, bob, carol, person("Dora"), person("Emil")]
    sent = messages_send(
        [
            Draft(one.user.pk, other.user.pk, f"Ahoy {number}")
            for number in range(4)
            for one in people
            for other in people
            if one is not other
        ]
    )
    messages = [one.message for one in sent if not isinstance(one, Exception)]
    to_alice = [message for message in messages if message.receiver_id == alice.user.pk]
    messages_mark_read(alice.user.pk, message_ids=[one.pk for one in to_alice[:4]])
    message_delete(to_alice[-1].sender, message_id=to_alice[-1].pk)
    return Scene(alice, bob, to_alice[4:-1])


CALLS: dict[str, Callable[[Scene], Any]] = {
    "messages_create": lambda s: s.alice.post(
        "/messages", {"receiverId": s.bob.id, "content": "Ahoy", "clientId": "phone-1"}
    ),
    "messages_list": lambda s: s.alice.get("/messages", {"userId": s.bob.id}),
    "messages_conversations": lambda s: s.alice.get("/messages/conversations"),
    "messages_unread": lambda s: s.alice.get("/messages/unread"),
    "messages_read": lambda s: s.alice.post(
        "/messages/read", {"messageIds": [str(one.pk) for one in s.messages]}
    ),
    "messages_destroy": lambda s: s.bob.delete(
        f"/messages/{next(one.pk for one in s.messages if one.sender_id == s.bob.user.pk)}"
    ),
}


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_sends_as_many_queries_as_are_recorded(scene: Scene, operation: str) -> None:
    with within_budget(BUDGETS, operation):
        response = CALLS[operation](scene)
    assert response.status_code in {200, 201}, response.content
