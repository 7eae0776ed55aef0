"""A message that is sent again with the same client id is stored once."""

import pytest

from apps.accounts.models import User
from apps.accounts.tests.people import Person, set_status
from apps.chat.models import Message
from apps.chat.queries import sent_before
from apps.chat.services import Sent, message_send, messages_send
from apps.chat.tests.factories import draft, event_types, everything, new_message
from apps.chat.tests.test_message_send import send
from apps.core.tests.together import together

pytestmark = pytest.mark.django_db


def test_repeated_send_returns_the_first_message(alice: Person, bob: Person) -> None:
    """A client repeats a send when the response was lost; the message must not be stored twice."""
    first = send(alice, bob.id, "Ahoy", clientId="phone-1")
    before = everything()
    again = send(alice, bob.id, "Ahoy", clientId="phone-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["data"] == first.json()["data"]
    assert again.json()["data"]["clientId"] == "phone-1"
    assert everything() == before


def test_repeated_send_with_other_content_returns_the_first_message(
    alice: Person, bob: Person, carol: Person
) -> None:
    first = send(alice, bob.id, "Ahoy", clientId="phone-1").json()["data"]
    before = everything()
    assert send(alice, carol.id, "Another", clientId="phone-1").json()["data"] == first
    assert everything() == before


def test_repeated_send_to_a_user_banned_since_returns_the_first_message(
    alice: Person, bob: Person
) -> None:
    first = send(alice, bob.id, clientId="phone-1").json()["data"]
    set_status(bob.user, User.Status.BANNED)
    before = everything()
    again = send(alice, bob.id, clientId="phone-1")
    assert (again.status_code, again.json()["data"]) == (200, first)
    assert everything() == before


@pytest.mark.django_db(transaction=True)
def test_eight_concurrent_repeats_send_one_message(alice: Person, bob: Person) -> None:
    outcomes = together(*[lambda: message_send(draft(alice, bob, client_id="phone-1"))] * 8)
    sent = [one for one in outcomes if isinstance(one, Sent)]
    assert len(sent) == 8, outcomes
    assert [one.created for one in sent].count(True) == 1
    assert {one.message.pk for one in sent} == {Message.objects.get().pk}
    assert (event_types(bob), event_types(alice)) == (["chat_message"], ["chat_message_sent"])
    assert new_message(bob, alice).seq == 2


def test_repeat_in_one_transaction_sends_one_message(alice: Person, bob: Person) -> None:
    first, other, again = messages_send(
        [
            draft(alice, bob, "Ahoy", client_id="phone-1"),
            draft(alice, bob, "Another", client_id="phone-2"),
            draft(alice, bob, "Ahoy", client_id="phone-1"),
        ]
    )
    assert isinstance(first, Sent)
    assert isinstance(other, Sent)
    assert isinstance(again, Sent)
    assert [first.created, other.created, again.created] == [True, True, False]
    assert again.output == first.output
    assert Message.objects.count() == 2


def test_earlier_messages_are_found_by_pairs_of_sender_and_client_id(
    alice: Person, bob: Person
) -> None:
    """Many clients number their messages 1, 2, 3 …, so senders use the same client ids."""
    numbers = [str(number) for number in range(5)]
    messages_send(
        [draft(*pair, client_id=n) for pair in ((alice, bob), (bob, alice)) for n in numbers]
    )
    again = [draft(alice, bob, client_id="1"), draft(bob, alice, client_id="2")]
    asked = [(one.sender_id, str(one.client_id)) for one in again]
    assert set(sent_before([*asked, (alice.user.pk, "new")])) == set(asked)


def test_two_users_may_use_the_same_client_id(alice: Person, bob: Person) -> None:
    assert send(alice, bob.id, clientId="phone-1").status_code == 201
    assert send(bob, alice.id, clientId="phone-1").status_code == 201
    assert Message.objects.count() == 2
