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
        TestSocket(server.url, token=alice.access) as hers,
        TestSocket(server.url, query=f"?token={bob.access}") as his,
    ):
        assert his.expect("connected")["data"]["streams"] == {f"user.{bob.id}": 0}
        ack = hers.ask("chat_message", {"receiverId": bob.id, "content": "Hello"})
        message = ack["data"]["message"]
        got = his.expect("chat_message")
        assert got["data"]["message"] == message
        assert (got["stream"], got["seq"]) == (f"user.{bob.id}", 1)
        assert hers.expect("chat_message_sent")["data"]["message"] == message

        assert his.ask("delivered", {"seq": got["seq"]})["data"] == {"updated": 1}
        receipt = hers.expect("delivery_receipt")
        assert receipt["data"]["messageIds"] == [message["id"]]
        his.ask("read_receipt", {"senderId": alice.id, "messageIds": [message["id"]]})
        assert hers.expect("read_receipt")["data"]["readBy"] == bob.id


def test_deleted_user_gets_the_error_that_their_session_is_over(
    server: ServerProcess, alice: Person, bob: Person, carol: Person
) -> None:
    with (
        TestSocket(server.url, token=alice.access) as hers,
        TestSocket(server.url, token=carol.access) as carols,
    ):
        carols.expect("connected")
        User.objects.filter(pk=carol.user.pk).delete()
        message = {"receiverId": bob.id, "content": "Hello"}
        refused = carols.ask("chat_message", message)
        assert (refused["type"], refused["data"]["code"]) == ("error", "UNAUTHORIZED")
        assert hers.ask("chat_message", message)["type"] == "ack"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite locks all or nothing.")
def test_locked_stream_of_one_user_does_not_delay_the_messages_of_others(
    server: ServerProcess, alice: Person, bob: Person, carol: Person
) -> None:
    message_send(Draft(alice.user.pk, bob.user.pk, "So that there is something to lock"))
    to_bob = {"receiverId": bob.id, "content": "Hello"}
    to_alice = {"receiverId": alice.id, "content": "Hello"}
    with (
        TestSocket(server.url, token=alice.access) as hers,
        TestSocket(server.url, token=carol.access) as others,
    ):
        hers.expect("connected")
        others.expect("connected")
        with transaction.atomic():
            Stream.objects.select_for_update().get(name=f"user.{bob.id}")
            hers.send("chat_message", to_bob, requestId="blocked")
            assert others.ask("chat_message", to_alice)["type"] == "ack"
            refused = hers.expect("error")
            assert refused["requestId"] == "blocked"
            assert refused["data"]["code"] == "SERVICE_UNAVAILABLE"
        assert hers.ask("chat_message", to_bob)["type"] == "ack"
