"""Chat over real sockets of a real server."""

import pytest
from django.db import connection, transaction

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.chat.services import Draft, message_send
from apps.realtime.models import Stream
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_message_reaches_the_receiver_and_its_receipts_reach_the_sender(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, query=f"?token={bob.access}") as bob_socket,
    ):
        assert bob_socket.expect("connected")["data"]["streams"] == {f"user.{bob.id}": 0}
        ack = alice_socket.ask("chat_message", {"receiverId": bob.id, "content": "Hello"})
        message = ack["data"]["message"]
        got = bob_socket.expect("chat_message")
        assert got["data"]["message"] == message
        assert (got["stream"], got["seq"]) == (f"user.{bob.id}", 1)
        assert alice_socket.expect("chat_message_sent")["data"]["message"] == message

        assert bob_socket.ask("delivered", {"seq": got["seq"]})["data"] == {"updated": 1}
        receipt = alice_socket.expect("delivery_receipt")
        assert receipt["data"]["messageIds"] == [message["id"]]
        bob_socket.ask("read_receipt", {"senderId": alice.id, "messageIds": [message["id"]]})
        assert alice_socket.expect("read_receipt")["data"]["readBy"] == bob.id


def test_deleted_user_gets_the_error_that_their_session_is_over(
    server: ServerProcess, alice: Person, bob: Person, carol: Person
) -> None:
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=carol.access) as carol_socket,
    ):
        carol_socket.expect("connected")
        User.objects.filter(pk=carol.user.pk).delete()
        message = {"receiverId": bob.id, "content": "Hello"}
        refused = carol_socket.ask("chat_message", message)
        assert (refused["type"], refused["data"]["code"]) == ("error", "UNAUTHORIZED")
        assert alice_socket.ask("chat_message", message)["type"] == "ack"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite locks all or nothing.")
def test_locked_stream_of_one_user_does_not_delay_the_messages_of_others(
    server: ServerProcess, alice: Person, bob: Person, carol: Person
) -> None:
    message_send(Draft(alice.user.pk, bob.user.pk, "So that there is something to lock"))
    to_bob = {"receiverId": bob.id, "content": "Hello"}
    to_alice = {"receiverId": alice.id, "content": "Hello"}
    with (
        TestSocket(server.url, token=alice.access) as alice_socket,
        TestSocket(server.url, token=carol.access) as carol_socket,
    ):
        alice_socket.expect("connected")
        carol_socket.expect("connected")
        with transaction.atomic():
            Stream.objects.select_for_update().get(name=f"user.{bob.id}")
            alice_socket.send("chat_message", to_bob, requestId="blocked")
            assert carol_socket.ask("chat_message", to_alice)["type"] == "ack"
            refused = alice_socket.expect("error")
            assert refused["requestId"] == "blocked"
            assert refused["data"]["code"] == "SERVICE_UNAVAILABLE"
        assert alice_socket.ask("chat_message", to_bob)["type"] == "ack"
