"""Messages that are committed together: what is wrong with one costs the others nothing."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from apps.accounts.errors import SessionOver
from apps.accounts.models import User
from apps.accounts.tests.people import Person, person, set_status
from apps.chat import grouping, services
from apps.chat.errors import ReceiverNotFound
from apps.chat.models import Message
from apps.chat.services import Draft, Sent
from apps.chat.tests.factories import draft, everything, told
from apps.core.errors import DomainError

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("closing_threads")]

Send = Callable[..., Any]


def sent_together(drafts: Sequence[Draft]) -> list[Any]:
    """Return what became of each of the drafts that waited at one moment."""

    async def send() -> list[Any]:
        waiting = [grouping.message_send_grouped(one) for one in drafts]
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(send())


def numbered(pairs: Sequence[tuple[Person, Person]], count: int) -> list[Draft]:
    """Return as many drafts, of the pairs in turns."""
    return [draft(*pairs[n % len(pairs)], f"Ahoy {n}") for n in range(count)]


def require_sent(
    drafts: Sequence[Draft], outcomes: Sequence[Any], people: Sequence[Person]
) -> None:
    """Fail unless the drafts were sent, each once and in their order, and their receivers told."""
    assert [one for one in outcomes if not isinstance(one, Sent)] == []
    stored = Message.objects.filter(pk__in=[one.message.pk for one in outcomes])
    assert set(Message.objects.values_list("pk")) == set(stored.values_list("pk"))
    for receiver in people:
        to_them = [one.content for one in drafts if one.receiver_id == receiver.user.pk]
        heard = [data for kind, data in told(receiver) if kind == "chat_message"]
        assert [data["message"]["content"] for data in heard] == to_them
        theirs = stored.filter(conversation__memberships__user=receiver.user)
        rows = theirs.exclude(sender=receiver.user).order_by("pk")
        assert list(rows.values_list("content", flat=True)) == to_them
    for conversation in set(stored.values_list("conversation", flat=True)):
        numbers = stored.filter(conversation=conversation).order_by("pk")
        found = list(numbers.values_list("seq", flat=True))
        assert found == list(range(1, len(found) + 1))


def fault_among(bad: Draft, others: list[Draft], people: Sequence[Person]) -> Any:
    """Send a draft in the midst of others, fail unless all of those were sent, and return what is
    wrong with the one."""
    middle = len(others) // 2
    outcomes = sent_together([*others[:middle], bad, *others[middle:]])
    fault = outcomes.pop(middle)
    require_sent(others, outcomes, people)
    assert isinstance(fault, DomainError)
    return fault


@pytest.fixture
def others(alice: Person, bob: Person) -> list[Draft]:
    """What makes, with one more draft, a whole group."""
    return numbered([(alice, bob), (bob, alice)], grouping.LARGEST_GROUP - 1)


def test_a_sender_who_was_deleted_while_they_waited_is_refused_alone(
    alice: Person, bob: Person, carol: Person, others: list[Draft]
) -> None:
    User.objects.filter(pk=carol.user.pk).delete()
    fault = fault_among(draft(carol, bob), others, [alice, bob])
    assert isinstance(fault, SessionOver)


def test_a_sender_who_was_shut_out_while_they_waited_is_refused_alone(
    alice: Person, bob: Person, carol: Person, others: list[Draft]
) -> None:
    set_status(carol.user, User.Status.BANNED)
    fault = fault_among(draft(carol, bob), others, [alice, bob])
    assert isinstance(fault, SessionOver)


def test_who_was_shut_out_is_not_shown_what_they_sent_before(alice: Person, bob: Person) -> None:
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
    ids=["constraint", "no text", "NUL"],
)
def test_a_message_that_the_database_refuses_is_refused_alone(
    alice: Person, bob: Person, others: list[Draft], refused: dict[str, Any]
) -> None:
    bad = Draft(alice.user.pk, bob.user.pk, **({"content": "Ahoy"} | refused))
    fault = fault_among(bad, others, [alice, bob])
    assert (fault.code, fault.status) == ("INTERNAL_ERROR", 500)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="Writers wait for each other on SQLite.")
@pytest.mark.parametrize("leaver", ["sender", "receiver"])
def test_who_is_deleted_between_the_look_and_the_insert_costs_nobody_else_anything(
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


def delete(who: Person) -> None:
    """Delete somebody, over a connection of this thread."""
    try:
        with transaction.atomic():
            User.objects.filter(pk=who.user.pk).delete()
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


def cancelled(sqlstate: str = "55P03") -> OperationalError:
    """Return what a statement raises that a living PostgreSQL has cancelled: it waited for too long
    for a lock or, with 57014, took too long."""
    error = OperationalError("canceling statement due to a timeout")
    error.__cause__ = type("Cancelled", (Exception,), {"sqlstate": sqlstate})()
    return error


def test_a_conversation_that_somebody_keeps_locked_costs_the_others_nothing(
    alice: Person,
    bob: Person,
    carol: Person,
    others: list[Draft],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = Failing(cancelled(), lambda some: any(one.content == "Locked" for one in some))
    monkeypatch.setattr(grouping, "messages_send", database)
    fault = fault_among(draft(carol, bob, "Locked"), others, [alice, bob])
    assert fault.code == "SERVICE_UNAVAILABLE"


def test_nothing_is_sent_a_second_time_that_may_have_been_committed(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Failing(OperationalError("the connection is lost"), lambda some: True)
    monkeypatch.setattr(grouping, "messages_send", database)
    outcomes = sent_together(numbered([(alice, bob)], 20))
    assert {one.code for one in outcomes} == {"SERVICE_UNAVAILABLE"}
    assert database.sizes == [20]


def test_a_database_that_fails_again_and_again_is_given_up(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Failing(cancelled("57014"), lambda some: True)
    monkeypatch.setattr(grouping, "messages_send", database)
    outcomes = sent_together(numbered([(alice, bob)], 20))
    assert {one.code for one in outcomes} == {"SERVICE_UNAVAILABLE"}
    assert database.sizes == [20, 1, 1, 1]


def test_a_locked_conversation_is_waited_for_once(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Failing(cancelled(), lambda some: True)
    monkeypatch.setattr(grouping, "messages_send", database)
    outcomes = sent_together(numbered([(alice, bob)], 20))
    assert {one.code for one in outcomes} == {"SERVICE_UNAVAILABLE"}
    assert database.sizes == [20, 1]


def test_people_who_wait_at_one_moment_are_committed_together(monkeypatch: Any) -> None:
    people = [person(f"Person{number}") for number in range(6)]
    pairs = list(zip(people[:3], people[3:], strict=True))
    never = Failing(RuntimeError(), lambda some: False)
    monkeypatch.setattr(grouping, "messages_send", never)
    drafts = numbered(pairs, 12)
    require_sent(drafts, sent_together(drafts), people[3:])
    assert never.sizes == [12]
    assert json.dumps(told(people[0]), default=str).count("Ahoy") == 4
