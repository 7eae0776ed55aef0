"""The load generator reads responses to their end, and makes each request unique."""

from itertools import islice

import pytest

from bench.load import UNIQUE, Load, is_complete, request, requests_of


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nAhoy",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nServer: gunicorn\r\n\r\nAhoy",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nAhoy\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_a_response_is_complete_with_its_last_byte(response: bytes) -> None:
    complete = [is_complete(response[:size]) for size in range(len(response) + 1)]
    assert complete == [False] * len(response) + [True]


def test_the_end_of_a_head_is_not_the_end_of_a_body_in_chunks() -> None:
    assert not is_complete(b"HTTP/1.1 200 OK\r\nX-Request-ID: 10\r\n\r\n")


def test_a_request_has_the_length_of_its_body_and_a_token() -> None:
    assert request("POST", "/posts", token="t", body=b"{}") == (
        b"POST /posts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer t\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_requests_go_on_where_the_turn_before_stopped() -> None:
    found = requests_of(Load([1], [b"one", b"two", b"three"], first=4))
    assert list(islice(found, 4)) == [b"two", b"three", b"one", b"two"]


def test_a_load_without_an_end_sends_each_request_once() -> None:
    found = requests_of(Load([1], [b"one", b"two"], seconds=None))
    assert list(found) == [b"one", b"two"]


def test_each_unique_number_has_the_length_of_its_mark() -> None:
    found = set(islice(requests_of(Load([1], [b"<" + UNIQUE + b">"])), 100))
    assert len(found) == 100
    assert {len(one) for one in found} == {len(UNIQUE) + 2}
