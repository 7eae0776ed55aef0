"""A real server whose database or Redis is away."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from django.db import connection

from apps.accounts.tests.people import PASSWORD, Person
from testing.proxy import Proxy
from testing.server import ServerProcess, database_url, until

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

Start = Callable[..., ServerProcess]
LOGIN = {"email": "alice@example.com", "password": PASSWORD}
NOWHERE = "127.0.0.1:1"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite is no server.")
def test_a_server_that_loses_its_database_answers_503(start_server: Start) -> None:
    """Health checks must report the outage, and the log must say why without user data."""
    split = urlsplit(database_url())
    with Proxy(split.port or 5432) as proxy:
        place = f"{split.username}:topsecret@127.0.0.1:{proxy.port}{split.path}"
        server = start_server(DATABASE_URL=f"postgresql://{place}", LOG_LEVEL="debug")
    until(lambda: server.call("GET", "/health").json()["database"] == "unhealthy")
    assert server.call("GET", "/ready").status_code == 503
    response = server.call("POST", "/api/v1/auth/login", json=LOGIN)
    assert response.status_code == 503
    assert response.json()["code"] == "SERVICE_UNAVAILABLE"
    assert int(response.headers["Retry-After"]) > 0
    # A page needs the database for its session.
    page = server.call("GET", "/admin/", cookies={"sessionid": "x" * 32})
    assert page.status_code == 503
    assert int(page.headers["Retry-After"]) > 0
    server.stop()
    logged = server.log.read_text()
    assert "OperationalError" in logged
    assert PASSWORD not in logged
    assert "topsecret" not in logged


def test_a_server_without_its_redis_serves_requests(start_server: Start, alice: Person) -> None:
    """A Redis failure must not fail requests: limits can be counted without it."""
    server = start_server(REDIS_URL=f"redis://{NOWHERE}")
    assert server.call("GET", "/health").json()["redis"] == "unhealthy"
    assert server.call("GET", "/ready").status_code == 200
    token = server.call("POST", "/api/v1/auth/login", json=LOGIN).json()["data"]["accessToken"]
    headers = {"Authorization": f"Bearer {token}"}
    post = {"title": "A title", "content": "Some content.", "status": "published"}
    for path, body in (("/posts", post), ("/auth/logout", None)):
        response = server.call("POST", f"/api/v1{path}", json=body, headers=headers)
        assert response.status_code in {200, 201}
    assert server.call("GET", "/api/v1/auth/profile", headers=headers).status_code == 401
