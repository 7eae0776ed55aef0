"""Getting in (contract 7.1)."""

from typing import Any

import httpx
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


def test_a_header_a_token_and_a_ticket_let_one_in(server: ServerProcess, alice: Person) -> None:
    ways: list[dict[str, str]] = [
        {"token": alice.access},
        {"query": f"?token={alice.access}"},
        {"query": f"?ticket={ticket_of(alice)}"},
        {"query": f"/connect?ticket={ticket_of(alice)}"},
    ]
    for way in ways:
        with TestSocket(server.url, **way) as socket:
            welcome = socket.expect("connected")["data"]
            assert welcome["user"]["email"] == "alice@example.com"
            assert welcome["heartbeat"] == 25


def test_a_ticket_opens_one_socket_only(server: ServerProcess, alice: Person) -> None:
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


def test_only_known_origins_may_open_one(server: ServerProcess, alice: Person) -> None:
    """Original defect 32."""
    assert refusal(server, token=alice.access, headers={"Origin": "http://evil.example"}) == 403
    for origin in (server.url, "http://localhost:3000"):
        TestSocket(server.url, token=alice.access, headers={"Origin": origin}).close()


def test_only_names_that_the_server_goes_by_open_one(server: ServerProcess, alice: Person) -> None:
    """As over HTTP: a page of another name that resolves here is another site."""
    for host in ("evil.example", f"evil.example:{server.port}", "", "localhost.evil.example"):
        assert refusal(server, token=alice.access, headers={"Host": host}) == 400
    with raw_websocket(server.port, alice.access):
        pass


def test_handshakes_count_as_requests_of_their_address(start_server: Any, alice: Person) -> None:
    server = start_server(
        RATE_LIMIT_BURST="20", RATE_LIMIT_REQUESTS_PER_SECOND="1", SERVER_TRUSTED_PROXIES="1"
    )
    # Addresses of their own, so that no other test meets the limits that this one uses up.
    guesser, hers = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "203.0.113.8"}
    answers = [refusal(server, query=f"?ticket={n}", headers=guesser) for n in range(25)]
    assert answers[:10] == [401] * 10
    assert answers[-1] == 429
    assert refusal(server, token=alice.access, headers=guesser) == 429
    TestSocket(server.url, token=alice.access, headers=hers).close()


def test_the_token_way_can_be_switched_off(start_server: Any, alice: Person) -> None:
    server = start_server(WEBSOCKET_QUERY_TOKEN="false")
    assert refusal(server, query=f"?token={alice.access}") == 401


def test_no_credential_in_an_address_is_ever_logged(start_server: Any, alice: Person) -> None:
    """Original defect 32."""
    server = start_server(LOG_LEVEL="debug")
    ticket = ticket_of(alice)
    TestSocket(server.url, query=f"?token={alice.access}").close()
    TestSocket(server.url, query=f"?ticket={ticket}").close()
    server.stop()
    log = server.log.read_text()
    assert "connected" in log
    assert alice.access not in log
    assert ticket not in log


def test_another_path_is_no_websocket(server: ServerProcess, alice: Person) -> None:
    assert refusal(server, token=alice.access, query="/elsewhere") == 403


def test_the_eleventh_socket_of_a_person_is_one_too_many(
    server: ServerProcess, alice: Person
) -> None:
    sockets = [TestSocket(server.url, token=alice.access) for _ in range(10)]
    eleventh = TestSocket(server.url, token=alice.access)
    assert eleventh.closed_with() == 4502
    health = httpx.get(f"{server.url}/health").json()
    assert health["websocket"] == {"users": 1, "connections": 10}
    sockets.pop().close()
    for socket in [*sockets, eleventh]:
        socket.close()


@pytest.mark.skipif(not settings.REDIS_URL, reason="There is no Redis in this run.")
def test_sockets_count_in_all_processes_and_not_in_those_that_died(
    start_server: Any, alice: Person
) -> None:
    one, other = start_server(), start_server()
    sockets = [TestSocket(one.url, token=alice.access) for _ in range(10)]
    with TestSocket(other.url, token=alice.access) as eleventh:
        assert eleventh.closed_with() == 4502
    one.kill()
    # Each of them comes back at once, before a server could have been started anew.
    sockets += [TestSocket(other.url, token=alice.access) for _ in range(10)]
    for socket in sockets[10:]:
        socket.expect("connected")
    for socket in sockets:
        socket.close()
