"""One log line for each request, and no secret in any line."""

import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.accounts.tests.people import PASSWORD, Person
from apps.core.logs import PrivateFileHandler, _output
from testing.client import ContractClient
from testing.server import ServerProcess, until
from testing.socket import TestSocket

pytestmark = pytest.mark.django_db

NOBODY = "01a222d6-1648-7bc7-8af9-5f371ef4f020"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """A function that returns the lines of all requests up to now."""
    caplog.set_level(logging.INFO)

    def found() -> list[dict[str, Any]]:
        requests = [record for record in caplog.records if record.name == "parley.request"]
        return [record.msg for record in requests if isinstance(record.msg, dict)]

    return found


def test_a_request_is_logged_in_one_line_with_user_route_and_time(
    alice: Person, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    alice.get(f"/users/{alice.id}?search=x", **{"X-Request-ID": "mine"})
    (line,) = lines()
    assert line["request_id"] == "mine"
    assert line["user_id"] == alice.id
    assert line["method"] == "GET"
    assert line["status"] == 200
    assert 0 <= line["ms"] < 60_000
    # The line has the route and not the path, so that lines can be grouped by it.
    assert line["route"] == "/api/v1/users/{id}"
    assert line["address"] == "127.0.0.0"
    assert "path" not in line


def test_the_line_of_an_anonymous_request_names_no_earlier_user(
    alice: Person, anonymous: ContractClient, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    alice.get("/auth/profile")
    anonymous.get("/api/v1/users")
    first, second = lines()
    assert first["user_id"] == alice.id
    assert "user_id" not in second


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v1/nothing", 404), ("/api/v1/users/", 308), ("/nowhere", 404), ("/static/none", 404)],
)
def test_a_request_that_reaches_no_view_is_logged(
    anonymous: ContractClient, lines: Callable[[], list[dict[str, Any]]], path: str, status: int
) -> None:
    anonymous.get(f"{path}?token=secret")
    [line] = lines()
    assert (line["status"], line["route"], line["path"]) == (status, None, path)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        (f"/api/v1/posts/{NOBODY}/publish", "/api/v1/posts/{id}/publish"),
        (f"/api/v1/posts/{NOBODY}", "/api/v1/posts/{id}"),
        ("/api/v1/posts/slug/x", "/api/v1/posts/slug/{slug}"),
        ("/docs/realtime", "/docs/realtime"),
        ("/static/admin/css/base.css", "/static/{path}"),
        (f"/admin/accounts/user/{NOBODY}/change/", "/admin/accounts/user/{object_id}/change/"),
    ],
)
def test_a_route_has_one_template_whether_its_view_answers_or_not(
    anonymous: ContractClient,
    lines: Callable[[], list[dict[str, Any]]],
    path: str,
    route: str,
) -> None:
    anonymous.get(path)
    # Refused before Django looks for a route.
    Client().get(path, headers={"Host": "elsewhere.example"})
    served, refused = lines()
    assert served["status"] != refused["status"] == 400
    assert served["route"] == refused["route"] == route


def test_a_request_that_creates_something_names_it(
    alice: Person, bob: Person, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    sent = alice.post("/messages", {"receiverId": bob.id, "content": "hi", "clientId": "1"})
    alice.post("/messages", {"receiverId": bob.id, "content": "hi", "clientId": "1"})
    first, again = lines()
    assert first["created"] == sent.json()["data"]["id"]
    assert "created" not in again


def test_the_line_of_an_admin_page_names_its_user(
    moderator: Person, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    browser = Client()
    browser.post("/admin/login/", {"username": moderator.user.email, "password": PASSWORD})
    browser.get("/admin/accounts/user/")
    browser.get("/admin/nothing")
    browser.post("/admin/logout/")
    browser.get("/admin/")
    login, page, unknown, logout, after = lines()
    assert [line["user_id"] for line in (login, page, unknown, logout)] == [moderator.id] * 4
    assert page["route"] == "/admin/accounts/user/"
    assert (unknown["route"], unknown["path"]) == (None, "/admin/nothing")
    assert "user_id" not in after


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_no_log_line_holds_a_token_a_password_or_a_query(
    start_server: Callable[..., ServerProcess], alice: Person, tmp_path: Path
) -> None:
    """A token in a URL must not get into the log, since it opens the user's session."""
    log = tmp_path / "logs" / "app.log"
    server = start_server(
        LOG_FORMAT="json", LOG_LEVEL="debug", LOG_OUTPUT="file", LOG_FILE_PATH=str(log)
    )
    login = {"email": "alice@example.com", "password": PASSWORD}
    server.call("POST", "/api/v1/auth/login?secretquery=1", json=login)
    server.call("POST", "/api/v1/auth/refresh", json={"refreshToken": alice.refresh})
    bearer = {"Authorization": f"Bearer {alice.access}"}
    ticket = server.call("POST", "/api/v1/auth/ws-ticket", headers=bearer).json()["data"]["ticket"]
    for query in (f"?token={alice.access}", f"?ticket={ticket}"):
        with TestSocket(server.url, query=query) as opened:
            opened.expect("connected")
    server.call("GET", f"/api/v1/nothing/?token={alice.access}")
    server.call("GET", "/api/v1/users?search=secretquery", headers={"X-Request-ID": "the-last"})

    until(lambda: "the-last" in log.read_text())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    requests = [line for line in lines if line["logger"] == "parley.request"]
    assert sum(line.get("request_id") == "the-last" for line in requests) == 1
    assert [line["status"] for line in requests if line["method"] == "POST"] == [200, 200, 200]
    everything = log.read_text() + server.log.read_text()
    for secret in (PASSWORD, alice.access, alice.refresh, ticket, "secretquery"):
        assert secret not in everything


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_input_that_is_not_http_is_not_logged(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"this is no HTTP\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")
    server.stop()
    banner, _, logged = server.log.read_text().partition("  data   ")
    assert banner.startswith("Parley ")
    said = [line for line in logged.splitlines()[1:] if "no administrator" not in line]
    assert said == ["Stopped."]


def test_django_prints_no_lines_itself() -> None:
    """With APP_DEBUG it would repeat our lines on stderr, and hang with the reader of stderr."""
    assert logging.getLogger("django").handlers == []


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("stdout", logging.StreamHandler),
        ("stderr", logging.StreamHandler),
        ("file", PrivateFileHandler),
    ],
)
def test_log_lines_go_to_the_configured_output(
    tmp_path: Path, output: str, kind: type[logging.Handler]
) -> None:
    handler = _output({"output": output, "path": str(tmp_path / "new" / "app.log")})
    assert type(handler) is kind
    handler.close()
