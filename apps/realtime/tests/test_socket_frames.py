"""Frames of a client that need no feature, malformed frames, and the limits of frames."""

from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from apps.accounts.tests.people import Person
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def socket(server: ServerProcess, alice: Person) -> TestSocket:
    return TestSocket(server.url, token=alice.access)


def test_a_ping_is_answered_with_the_heads(socket: TestSocket, alice: Person) -> None:
    pong = socket.ask("ping", {"anything": 1})
    assert pong["type"] == "pong"
    assert pong["data"]["streams"] == {f"user.{alice.id}": 0}
    socket.close()


def test_an_unknown_command_is_an_error_that_names_its_request(socket: TestSocket) -> None:
    error = socket.ask("dance", wrong=True)
    assert error["type"] == "error"
    assert error["data"]["code"] == "NOT_FOUND"
    socket.close()


def test_wrong_fields_are_listed_as_over_http(socket: TestSocket) -> None:
    error = socket.ask("chat_message", {"receiverId": "x"}, wrong=True)["data"]
    assert error["code"] == "VALIDATION_ERROR"
    assert [one["field"] for one in error["errors"]] == ["receiverId", "content"]
    socket.close()


@pytest.mark.parametrize(
    "nonsense", ["{", "", "[]", "5", '{"data": {}}', '{"type": 3}', '"\\ud800"', b"\x00\xff"]
)
def test_a_malformed_frame_is_answered_and_the_third_closes_the_socket(
    socket: TestSocket, nonsense: str | bytes
) -> None:
    """A client that sends malformed JSON learns why before its socket is closed."""
    for _ in range(3):
        socket.send_unchecked(nonsense)
        assert socket.expect("error")["data"]["code"] == "BAD_REQUEST"
    assert socket.closed_with() == 4400
    socket.close()


@pytest.mark.parametrize("data", [[], "text", 7, True])
def test_data_that_is_no_object_is_an_error(socket: TestSocket, data: object) -> None:
    socket.send("ping", data, wrong=True, requestId="r1")
    assert socket.expect("error")["requestId"] == "r1"
    assert socket.ask("ping")["type"] == "pong"
    socket.close()


def test_a_frame_of_more_than_64_kib_closes_the_socket(socket: TestSocket) -> None:
    socket.send("ping", {"long": "x" * 66_000})
    assert socket.closed_with() == 1009
    socket.close()


def test_more_than_60_frames_at_once_close_the_socket(socket: TestSocket) -> None:
    # The server may have closed it before all of them are sent.
    with suppress(ConnectionClosed):
        for _ in range(90):
            socket.send("ping")
    assert socket.closed_with() == 4429
    socket.close()
