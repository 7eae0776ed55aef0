"""Chat over real sockets of a real server."""

import pytest

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.core.testing.server import ServerProcess
from apps.core.testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_a_message_reaches_the_receiver_and_its_way_the_sender(
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


def test_who_was_deleted_is_told_that_their_session_is_over(
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
