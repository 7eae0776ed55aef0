"""Messages that are sent in one transaction: a fault of one costs the others nothing."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from apps.accounts.errors import SessionOver
from apps.accounts.models import User
from apps.accounts.tests.people import Person, person, set_status
from apps.chat import message_commits, services
from apps.chat.errors import ReceiverNotFound
from apps.chat.models import Message
from apps.chat.services import Draft, Sent
from apps.chat.tests.factories import draft, everything, group_of, user_events
from apps.core.errors import DomainError

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("closing_threads")]

Send = Callable[..., Any]


def sent_together(drafts: Sequence[Draft]) -> list[Any]:
    """Return the outcome of each of the drafts that wait at one moment."""

    async def send() -> list[Any]:
        waiting = [message_commits.message_send_grouped(one) for one in drafts]
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(send())


def numbered(pairs: Sequence[tuple[Person, Person]], count: int) -> list[Draft]:
    """Return that many drafts, of the pairs in turns."""
    return [draft(*pairs[n % len(pairs)], f"Ahoy {n}") for n in range(count)]


def require_sent(
    drafts: Sequence[Draft], outcomes: Sequence[Any], people: Sequence[Person]
) -> None:
    """Fail unless the drafts were sent, each once, in their order, and with their events."""
    assert [one for one in outcomes if not isinstance(one, Sent)] == []
    stored = Message.objects.filter(pk__in=[one.message.pk for one in outcomes])
    assert set(Message.objects.values_list("pk")) == set(stored.values_list("pk"))
    for receiver in people:
        to_them = [one.content for one in drafts if one.receiver_id == receiver.user.pk]
        received = [data for kind, data in user_events(receiver) if kind == "chat_message"]
        assert [data["message"]["content"] for data in received] == to_them
        theirs = stored.filter(conversation__memberships__user=receiver.user)
        rows = theirs.exclude(sender=receiver.user).order_by("pk")
        assert list(rows.values_list("content", flat=True)) == to_them
    for conversation in set(stored.values_list("conversation", flat=True)):
        numbers = stored.filter(conversation=conversation).order_by("pk")
        found = list(numbers.values_list("seq", flat=True))
        assert found == list(range(1, len(found) + 1))


def fault_among(bad: Draft, others: list[Draft], people: Sequence[Person]) -> Any:
    """Send a bad draft between others, fail unless all of the others were sent, and return the
    refusal of the bad one."""
    middle = len(others) // 2
    outcomes = sent_together([*others[:middle], bad, *others[middle:]])
    fault = outcomes.pop(middle)
    require_sent(others, outcomes, people)
    assert isinstance(fault, DomainError)
    return fault


@pytest.fixture
def others(alice: Person, bob: Person) -> list[Draft]:
    """Drafts of two users who write to each other."""
    return numbered([(alice, bob), (bob, alice)], 20)


def test_only_the_sender_whose_account_was_deleted_meanwhile_is_refused(
    alice: Person, bob: Person, carol: Person, others: list[Draft]
) -> None:
    User.objects.filter(pk=carol.user.pk).delete()
    fault = fault_among(draft(carol, bob), others, [alice, bob])
    assert isinstance(fault, SessionOver)


def test_only_the_sender_who_was_banned_meanwhile_is_refused(
    alice: Person, bob: Person, carol: Person, others: list[Draft]
) -> None:
    set_status(carol.user, User.Status.BANNED)
    fault = fault_among(draft(carol, bob), others, [alice, bob])
    assert isinstance(fault, SessionOver)


def test_banned_sender_does_not_get_the_message_that_they_sent_before(
    alice: Person, bob: Person
) -> None:
    again = draft(alice, bob, client_id="phone-1")
    sent_together([again])
    set_status(alice.user, User.Status.BANNED)
    before = everything()
    [outcome] = sent_together([again])
    assert isinstance(outcome, SessionOver)
    assert everything() == before


@pytest.mark.parametrize(
    "refused",
    [
        {"type": "video"},
        {"content": "half a pair \ud800"},
        pytest.param(
            {"content": "NUL \0"},
            marks=pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite stores a NUL."),
        ),
    ],
    ids=["constraint", "surrogate", "NUL"],
)
def test_only_the_message_that_the_database_refuses_fails(
    alice: Person, bob: Person, others: list[Draft], refused: dict[str, Any]
) -> None:
    bad = Draft(alice.user.pk, bob.user.pk, **({"content": "Ahoy"} | refused))
    fault = fault_among(bad, others, [alice, bob])
    assert (fault.code, fault.status) == ("INTERNAL_ERROR", 500)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="Writers wait for each other on SQLite.")
@pytest.mark.parametrize("leaver", ["sender", "receiver"])
def test_user_deleted_between_read_and_insert_does_not_fail_the_messages_of_others(
    alice: Person,
    bob: Person,
    carol: Person,
    others: list[Draft],
    monkeypatch: pytest.MonkeyPatch,
    leaver: str,
) -> None:
    pair = (carol, bob) if leaver == "sender" else (bob, carol)
    store = services._store

    def delete_then_store(*args: Any) -> Any:
        if User.objects.filter(pk=carol.user.pk).exists():
            remover = threading.Thread(target=delete, args=[carol])
            remover.start()
            remover.join()
        return store(*args)

    monkeypatch.setattr(services, "_store", delete_then_store)
    fault = fault_among(draft(*pair, "Farewell"), others, [alice, bob])
    assert isinstance(fault, SessionOver if leaver == "sender" else ReceiverNotFound)


def delete(person: Person) -> None:
    """Delete a user, over a connection of this thread."""
    try:
        with transaction.atomic():
            User.objects.filter(pk=person.user.pk).delete()
    finally:
        connections.close_all()


class Failing:
    """A database that fails some of the transactions that send messages."""

    def __init__(self, error: Exception, fails: Callable[[Sequence[Draft]], bool]) -> None:
        self.sizes: list[int] = []
        self._error = error
        self._fails = fails
        self._send = services.messages_send

    def __call__(self, drafts: Sequence[Draft]) -> Any:
        self.sizes.append(len(drafts))
        if self._fails(drafts):
            raise self._error
        return self._send(drafts)


def locked() -> OperationalError:
    """Return what PostgreSQL raises for a statement that waited too long for a lock."""
    error = OperationalError("canceling statement due to lock timeout")
    error.__cause__ = type("Locked", (Exception,), {"sqlstate": "55P03"})()
    return error


@pytest.mark.parametrize("to_group", [False, True], ids=["two users", "group"])
def test_messages_of_a_locked_conversation_fail_without_waiting_again(
    alice: Person,
    bob: Person,
    carol: Person,
    others: list[Draft],
    monkeypatch: pytest.MonkeyPatch,
    to_group: bool,
) -> None:
    bobs, carols = draft(bob, carol, "Locked"), draft(carol, bob, "Locked")
    if to_group:
        group = group_of(carol.user, bob.user).pk
        bobs = replace(bobs, receiver_id=None, conversation_id=group)
        carols = replace(carols, receiver_id=None, conversation_id=group)
    database = Failing(locked(), lambda some: any(one.content == "Locked" for one in some))
    monkeypatch.setattr(message_commits, "messages_send", database)
    outcomes = sent_together([carols, bobs, carols, *others])
    assert {one.code for one in outcomes[:3]} == {"SERVICE_UNAVAILABLE"}
    require_sent(others, outcomes[3:], [alice])
    assert database.sizes == [3 + len(others), *[1] * (1 + len(others))]


def test_messages_that_may_have_been_committed_are_not_sent_again(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Failing(OperationalError("the connection is lost"), lambda some: True)
    monkeypatch.setattr(message_commits, "messages_send", database)
    outcomes = sent_together(numbered([(alice, bob)], 20))
    assert {one.code for one in outcomes} == {"SERVICE_UNAVAILABLE"}
    assert database.sizes == [20]


def test_messages_of_one_moment_are_sent_in_one_transaction(monkeypatch: Any) -> None:
    people = [person(f"Person{number}") for number in range(6)]
    pairs = list(zip(people[:3], people[3:], strict=True))
    database = Failing(RuntimeError(), lambda some: False)
    monkeypatch.setattr(message_commits, "messages_send", database)
    drafts = numbered(pairs, 12)
    require_sent(drafts, sent_together(drafts), people[3:])
    assert database.sizes == [12]
    assert json.dumps(user_events(people[0]), default=str).count("Ahoy") == 4
