"""413: a body over the limit, even if its Content-Length is wrong or missing."""

import socket
from typing import Any

import pytest
from django.conf import settings

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from testing.server import ServerProcess

LIMIT = settings.BODY_LIMIT
CHUNK = 64 * 1024


def padded(size: int) -> bytes:
    """Return a body of exactly this size, which changes a profile."""
    body = b'{"bio": "x"}'
    return body + b" " * (size - len(body))


def patch(person: Person, body: bytes) -> Any:
    return person.client.patch("/api/v1/auth/profile", body, content_type="application/json")


def test_a_body_of_exactly_the_limit_is_read(alice: Person) -> None:
    assert patch(alice, padded(LIMIT)).status_code == 200


def test_a_body_over_the_limit_is_413(alice: Person) -> None:
    response = patch(alice, padded(LIMIT + 1))
    assert response.status_code == 413
    assert response.json()["code"] == "PAYLOAD_TOO_LARGE"
    assert User.objects.get().bio == ""


def raw(server: ServerProcess, head: str, *parts: bytes) -> bytes:
    """Return what the server answers to a request, which is sent while the server reads."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        try:
            connection.sendall(head.replace("\n", "\r\n").encode())
            for part in parts:
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return b"".join(_received(connection))


def _received(connection: socket.socket) -> list[bytes]:
    received: list[bytes] = []
    try:
        while part := connection.recv(65536):
            received.append(part)
            if b'"durationMs"' in part:
                break
    except ConnectionResetError:
        pass
    return received


def head(alice: Person, length: str) -> str:
    return (
        "PATCH /api/v1/auth/profile HTTP/1.1\nHost: localhost\nConnection: close\n"
        f"Authorization: Bearer {alice.access}\nContent-Type: application/json\n{length}\n\n"
    )


def chunked(body: bytes) -> list[bytes]:
    parts = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)]
    return [f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts] + [b"0\r\n\r\n"]


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_chunked_body_within_the_limit_is_read(server: ServerProcess, alice: Person) -> None:
    received = raw(server, head(alice, "Transfer-Encoding: chunked"), *chunked(padded(CHUNK * 3)))
    assert received.startswith(b"HTTP/1.1 200")
    assert User.objects.get().bio == "x"


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_chunked_body_over_the_limit_is_413(server: ServerProcess, alice: Person) -> None:
    received = raw(server, head(alice, "Transfer-Encoding: chunked"), *chunked(padded(LIMIT + 1)))
    assert received.startswith(b"HTTP/1.1 413")
    assert b'"PAYLOAD_TOO_LARGE"' in received
    assert User.objects.get().bio == ""


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "5\nContent-Length: 6"])
def test_an_invalid_content_length_is_refused(
    server: ServerProcess, alice: Person, length: str
) -> None:
    received = raw(server, head(alice, f"Content-Length: {length}"), b'{"bio": "x"}')
    assert received.startswith(b"HTTP/1.1 4")
    assert User.objects.get().bio == ""


def asking_first(alice: Person, size: int) -> str:
    """Return the head of a request that waits for "100 Continue" before its body."""
    return head(alice, f"Expect: 100-continue\nContent-Length: {size}").replace(
        "Connection: close\n", ""
    )


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_client_that_expects_100_is_told_to_send_a_body_within_the_limit(
    server: ServerProcess, alice: Person
) -> None:
    received = raw(server, asking_first(alice, LIMIT), padded(LIMIT))
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    assert b"connection: close" not in received


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_client_that_expects_100_is_refused_at_once_over_the_limit(
    server: ServerProcess, alice: Person
) -> None:
    """The connection is closed, since the next bytes may be the body or another request."""
    received = raw(server, asking_first(alice, LIMIT + 1))
    assert received.startswith(b"HTTP/1.1 413")
    assert b"\r\nconnection: close\r\n" in received
