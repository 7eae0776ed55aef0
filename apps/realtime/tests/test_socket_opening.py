"""The handshake: credentials, origins, hosts and limits."""

from typing import Any

import pytest
from django.conf import settings
from websockets.exceptions import InvalidStatus

from apps.accounts.tests.people import Person
from testing.raw_socket import raw_websocket
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def refusal(server: ServerProcess, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as refused:
        TestSocket(server.url, **options)
    return refused.value.response.status_code


def ticket_of(person: Person) -> str:
    ticket: str = person.post("/auth/ws-ticket").json()["data"]["ticket"]
    return ticket


def test_a_header_a_token_and_a_ticket_open_a_socket(server: ServerProcess, alice: Person) -> None:
    ways: list[dict[str, str]] = [
        {"token": alice.access},
        {"query": f"?token={alice.access}"},
        {"query": f"?ticket={ticket_of(alice)}"},
        {"query": f"/connect?ticket={ticket_of(alice)}"},
    ]
    for way in ways:
        with TestSocket(server.url, **way) as socket:
            connected = socket.expect("connected")["data"]
            assert connected["user"]["email"] == "alice@example.com"
            assert connected["heartbeat"] == 25


def test_a_ticket_opens_only_one_socket(server: ServerProcess, alice: Person) -> None:
    query = f"?ticket={ticket_of(alice)}"
    with TestSocket(server.url, query=query):
        assert refusal(server, query=query) == 401


def test_bad_credentials_are_refused_before_the_upgrade(
    server: ServerProcess, alice: Person
) -> None:
    assert refusal(server) == 401
    assert refusal(server, token="nonsense") == 401
    assert refusal(server, token=alice.refresh) == 401
    alice.post("/auth/logout")
    assert refusal(server, token=alice.access) == 401


def test_a_server_that_can_send_no_response_closes_with_4401(start_server: Any) -> None:
    server = start_server(PARLEY_TAMPER="without-responses")
    with TestSocket(server.url, token="nonsense") as socket:
        assert socket.closed_with() == 4401
        assert socket.waiting == []


def test_only_known_origins_open_a_socket(server: ServerProcess, alice: Person) -> None:
    """A page of another site could otherwise use a token that it got hold of."""
    assert refusal(server, token=alice.access, headers={"Origin": "http://evil.example"}) == 403
    for origin in (server.url, "http://localhost:3000"):
        TestSocket(server.url, token=alice.access, headers={"Origin": origin}).close()


def test_only_known_host_names_open_a_socket(server: ServerProcess, alice: Person) -> None:
    """As over HTTP: a page under another name that resolves to this server is another site."""
    for host in ("evil.example", f"evil.example:{server.port}", "", "localhost.evil.example"):
        assert refusal(server, token=alice.access, headers={"Host": host}) == 400
    with raw_websocket(server.port, alice.access):
        pass


def test_handshakes_count_as_requests_of_their_address(start_server: Any, alice: Person) -> None:
    server = start_server(
        RATE_LIMIT_BURST="20", RATE_LIMIT_REQUESTS_PER_SECOND="1", SERVER_TRUSTED_PROXIES="1"
    )
    # These addresses are used by no other test, which would exceed their limits as well.
    guesser, alice_socket = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "203.0.113.8"}
    statuses = [refusal(server, query=f"?ticket={n}", headers=guesser) for n in range(25)]
    assert statuses[:10] == [401] * 10
    assert statuses[-1] == 429
    assert refusal(server, token=alice.access, headers=guesser) == 429
    TestSocket(server.url, token=alice.access, headers=alice_socket).close()


def test_tokens_in_the_query_can_be_switched_off(start_server: Any, alice: Person) -> None:
    server = start_server(WEBSOCKET_QUERY_TOKEN="false")
    assert refusal(server, query=f"?token={alice.access}") == 401


def test_credentials_in_the_query_are_not_logged(start_server: Any, alice: Person) -> None:
    """Logs are read by more people than may use the credentials."""
    server = start_server(LOG_LEVEL="debug")
    ticket = ticket_of(alice)
    TestSocket(server.url, query=f"?token={alice.access}").close()
    TestSocket(server.url, query=f"?ticket={ticket}").close()
    server.stop()
    log = server.log.read_text()
    assert "connected" in log
    assert alice.access not in log
    assert ticket not in log


def test_another_path_opens_no_socket(server: ServerProcess, alice: Person) -> None:
    assert refusal(server, token=alice.access, query="/elsewhere") == 403


def test_the_eleventh_socket_of_a_user_is_closed(server: ServerProcess, alice: Person) -> None:
    sockets = [TestSocket(server.url, token=alice.access) for _ in range(10)]
    eleventh = TestSocket(server.url, token=alice.access)
    assert eleventh.closed_with() == 4502
    health = server.call("GET", "/health").json()
    assert health["websocket"] == {"users": 1, "connections": 10}
    sockets.pop().close()
    for socket in [*sockets, eleventh]:
        socket.close()


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_sockets_of_all_processes_count_except_of_those_that_died(
    start_server: Any, alice: Person
) -> None:
    one, other = start_server(), start_server()
    sockets = [TestSocket(one.url, token=alice.access) for _ in range(10)]
    with TestSocket(other.url, token=alice.access) as eleventh:
        assert eleventh.closed_with() == 4502
    one.kill()
    # All clients come back at once, before the process could have been restarted.
    sockets += [TestSocket(other.url, token=alice.access) for _ in range(10)]
    for socket in sockets[10:]:
        socket.expect("connected")
    for socket in sockets:
        socket.close()
