"""Rate limits of requests, by address and by action."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.tests.people import PASSWORD, Person
from apps.core.errors import RateLimited
from apps.core.http.middleware import check_address_limit
from testing.client import ContractClient


def get(client: ContractClient, address: str, path: str = "/api/v1/nothing", **headers: str) -> Any:
    return client.get(path, REMOTE_ADDR=address, headers=headers)


@pytest.fixture
def two_requests(settings: Settings) -> None:
    """An address may send two requests, and no third one while the test runs."""
    settings.RATE_LIMIT_REQUESTS_PER_SECOND, settings.RATE_LIMIT_BURST = 0.001, 2


@pytest.mark.usefixtures("two_requests")
def test_too_many_requests_from_an_address_are_429(anonymous: ContractClient, address: str) -> None:
    """The headers tell a client when it may send the next request."""
    assert [get(anonymous, address).status_code for _ in range(2)] == [404, 404]
    response = get(anonymous, address)
    assert response.status_code == 429
    assert response.json()["code"] == "RATE_LIMIT_EXCEEDED"
    assert 900 < int(response["Retry-After"]) <= 1000
    assert response["RateLimit-Limit"] == "2"
    assert response["RateLimit-Remaining"] == "0"
    assert 1900 < int(response["RateLimit-Reset"]) <= 2000


@pytest.mark.usefixtures("two_requests")
def test_a_refused_request_changes_nothing(alice: Person, address: str) -> None:
    for _ in range(2):
        get(alice.client, address)
    body = {"bio": "x"}
    response = alice.client.patch("/api/v1/auth/profile", body, REMOTE_ADDR=address)
    assert response.status_code == 429
    alice.user.refresh_from_db()
    assert alice.user.bio == ""


@pytest.mark.usefixtures("two_requests", "db")
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/health/",
        "/docs/openapi.yaml",
        "/docs/index.html",
        "/static/admin/css/base.css",
        "/admin/",
        "/admin/login/",
    ],
)
def test_every_path_is_limited_by_address(
    anonymous: ContractClient, address: str, path: str
) -> None:
    served = {get(anonymous, address, path).status_code for _ in range(2)}
    assert served <= {200, 302, 404}
    response = get(anonymous, address, path)
    assert response.status_code == 429
    assert response.json()["code"] == "RATE_LIMIT_EXCEEDED"
    assert response.json()["meta"]["path"] == path
    assert int(response["Retry-After"]) > 0


@pytest.mark.usefixtures("two_requests")
def test_password_guesses_on_the_admin_pages_are_limited_by_address(
    moderator: Person, address: str
) -> None:
    browser = Client(REMOTE_ADDR=address)
    for number in range(2):
        form = {"username": f"{number}@example.com", "password": "wrong"}
        assert browser.post("/admin/login/", form).status_code == 200
    form = {"username": moderator.user.email, "password": PASSWORD}
    assert browser.post("/admin/login/", form).status_code == 429
    assert "sessionid" not in browser.cookies


@pytest.mark.usefixtures("two_requests")
def test_a_request_for_another_host_counts_too(address: str) -> None:
    browser = Client(REMOTE_ADDR=address, headers={"Host": "evil.example"})
    statuses = [browser.get("/api/v1/nothing").status_code for _ in range(3)]
    assert statuses == [400, 400, 429]


@pytest.mark.usefixtures("two_requests", "dead_redis")
def test_a_process_refuses_too_many_requests_without_redis(
    network: str, dead_redis: list[str]
) -> None:
    """The check runs on the loop, where nothing may wait for Redis."""
    environ = {"PATH_INFO": "/api/v1/posts", "REMOTE_ADDR": f"[{network}::1]:443"}
    check_address_limit(environ)
    check_address_limit({**environ, "PATH_INFO": "/static/x.js", "REMOTE_ADDR": f"{network}::2"})
    with pytest.raises(RateLimited):
        check_address_limit(environ)
    assert dead_redis == []


@pytest.mark.usefixtures("two_requests")
def test_an_accepted_request_is_counted_again_by_all_processes(
    anonymous: ContractClient, address: str
) -> None:
    for _ in range(2):
        check_address_limit({"PATH_INFO": "/api/v1/nothing", "REMOTE_ADDR": address})
    assert [get(anonymous, address).status_code for _ in range(3)] == [404, 404, 429]


@pytest.mark.usefixtures("two_requests")
def test_a_forged_forwarded_address_is_not_another_client(
    anonymous: ContractClient, address: str
) -> None:
    """Otherwise a client could escape the limit with a new header for each request."""
    statuses = [
        get(anonymous, address, **{"X-Forwarded-For": f"10.0.0.{n}"}).status_code for n in range(3)
    ]
    assert statuses == [404, 404, 429]


@pytest.mark.usefixtures("two_requests")
def test_another_address_of_the_same_network_is_not_another_client(
    anonymous: ContractClient, network: str
) -> None:
    """A /64 has more addresses than a limiter could ever count."""
    addresses = [f"{network}::1", f"{network}:1:2:3:4", f"[{network}::2]:443"]
    assert [get(anonymous, each).status_code for each in addresses] == [404, 404, 429]


@pytest.mark.usefixtures("two_requests")
def test_another_spelling_of_an_address_is_not_another_client(
    anonymous: ContractClient,
) -> None:
    [first, *others] = uuid4().bytes[:3]
    plain = f"10.{first}.{others[0]}.{others[1]}"
    spellings = [plain, f"::ffff:{plain}", f"{plain}:443"]
    assert [get(anonymous, each).status_code for each in spellings] == [404, 404, 429]


def test_actions_of_anonymous_users_are_limited_by_network(
    anonymous: ContractClient, network: str, settings: Settings, db: Any
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(register=2)
    statuses = []
    for number in range(3):
        body = {"name": "Dora", "email": f"{number}@example.com", "password": PASSWORD}
        own = f"{network}::{number}"
        response = anonymous.post("/api/v1/auth/register", body, REMOTE_ADDR=own)
        statuses.append(response.status_code)
    assert statuses == [201, 201, 429]
    assert User.objects.count() == 2


@pytest.mark.usefixtures("two_requests")
def test_clients_behind_a_trusted_proxy_are_told_apart_by_the_address_it_adds(
    anonymous: ContractClient, address: str, settings: Settings
) -> None:
    settings.SERVER_TRUSTED_PROXIES = 1
    proxy, other = "10.0.0.1", f"2001:db8::{uuid4().hex[:4]}:0:0:0:1"
    forged = [f"1.1.1.{number}, {address}" for number in range(3)]
    statuses = [get(anonymous, proxy, **{"X-Forwarded-For": f}).status_code for f in forged]
    assert statuses == [404, 404, 429]
    assert get(anonymous, proxy, **{"X-Forwarded-For": other}).status_code == 404


def test_an_action_has_its_own_limit_for_each_user(
    alice: Person, bob: Person, settings: Settings
) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(create_post=2)
    body = {"title": "A title", "content": "Some content."}
    assert [alice.post("/posts", body).status_code for _ in range(3)] == [201, 201, 429]
    assert alice.get("/posts").status_code == 200
    assert bob.post("/posts", body).status_code == 201


def test_requests_are_served_and_limited_without_redis(
    dead_redis: list[str], anonymous: ContractClient, alice: Person, settings: Settings
) -> None:
    """A Redis failure must not fail requests: the process can count them itself."""
    assert alice.get("/auth/profile").status_code == 200
    settings.RATE_LIMIT_REQUESTS_PER_SECOND, settings.RATE_LIMIT_BURST = 0.001, 2
    statuses = [get(anonymous, "10.7.7.7").status_code for _ in range(3)]
    assert statuses == [404, 404, 429]
