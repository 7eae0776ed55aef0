"""A deleted message never shows its content again: not by its client id, and not by its key."""

import json
import threading
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import connection, connections

from apps.accounts.tests.people import Person
from apps.chat.models import Message
from apps.chat.serializers import MessageOutput
from apps.chat.services import message_delete
from apps.chat.tests.factories import everything, new_message, reloaded
from apps.core.http.envelope import answer
from apps.core.models import IdempotencyKey
from testing.server import until

pytestmark = pytest.mark.django_db

KEY = {"Idempotency-Key": "a-key"}
WORDS = "Xylophone"


def send(sender: Person, receiver: Person, **headers: str) -> Any:
    """Return the response to a send, or to its repeat."""
    body = {"receiverId": receiver.id, "content": WORDS, "clientId": "phone-1"}
    return sender.post("/messages", body, **headers)


def tables_with(words: str) -> set[str]:
    """Return the tables that contain the words."""
    return {
        model._meta.db_table
        for model in apps.get_models()
        if words in json.dumps(list(model._default_manager.values()), default=str)
    }


def test_repeated_send_of_a_deleted_message_returns_it_without_content(
    alice: Person, bob: Person
) -> None:
    message = send(alice, bob).json()["data"]
    alice.delete(f"/messages/{message['id']}")
    before = everything()
    again = send(alice, bob)
    assert again.status_code == 200
    assert again.json()["data"] == {**message, "content": ""}
    assert everything() == before


def test_output_of_a_deleted_message_has_no_content(alice: Person, bob: Person) -> None:
    message = new_message(alice, bob, WORDS)
    message_delete(alice.user, message_id=message.pk)
    assert MessageOutput.dump(reloaded(message))["content"] == ""


def test_idempotency_key_replays_a_deleted_message_without_content(
    alice: Person, bob: Person
) -> None:
    first = send(alice, bob, **KEY).json()["data"]
    alice.delete(f"/messages/{first['id']}")
    again = send(alice, bob, **KEY)
    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
    assert again.json()["data"] == {**first, "content": ""}


def test_content_of_a_deleted_message_stays_in_its_row_only(alice: Person, bob: Person) -> None:
    """Moderators may still have to read it there."""
    first = send(alice, bob, **KEY).json()["data"]
    send(alice, bob, **{"Idempotency-Key": "another-key"})
    assert tables_with(WORDS) >= {"core_idempotencykey", "realtime_event"}
    alice.delete(f"/messages/{first['id']}")
    assert tables_with(WORDS) == {"chat_message"}


def test_other_messages_keep_their_content(alice: Person, bob: Person) -> None:
    kept = send(alice, bob, **KEY).json()["data"]
    bobs = bob.post("/messages", {"receiverId": alice.id, "content": "Quartz"}, **KEY).json()
    bob.delete(f"/messages/{bobs['data']['id']}")
    assert send(alice, bob, **KEY).json()["data"] == kept
    assert IdempotencyKey.objects.get(user=alice.user).subject == UUID(kept["id"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="Writers wait for each other on SQLite.")
def test_message_deleted_during_its_repeated_send_leaves_no_content(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = send(alice, bob).json()["data"]
    remover = threading.Thread(target=delete, args=[alice, message["id"]])

    def answer_during_the_deletion(*args: Any, **more: Any) -> Any:
        remover.start()
        until(lambda: not remover.is_alive() or is_lock_awaited())
        return answer(*args, **more)

    monkeypatch.setattr("apps.core.http.endpoints.answer", answer_during_the_deletion)
    assert send(alice, bob, **KEY).status_code == 200
    remover.join()
    monkeypatch.undo()
    assert Message.objects.get().deleted_at is not None
    assert send(alice, bob, **KEY).json()["data"]["content"] == ""
    assert tables_with(WORDS) == {"chat_message"}


def delete(sender: Person, message_id: str) -> None:
    """Delete a message, over a connection of this thread."""
    try:
        message_delete(sender.user, message_id=UUID(message_id))
    finally:
        connections.close_all()


def is_lock_awaited() -> bool:
    """Return whether a transaction waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])
