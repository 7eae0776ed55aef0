"""Requests that hash a password run in their own threads and do not delay other requests."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.db.models import QuerySet

from apps.accounts.models import User
from apps.accounts.tests.people import PASSWORD, Person
from apps.accounts.views import AuthViewSet
from apps.posts.models import Post
from apps.posts.tests.factories import published_by
from config.thread_pools import HASHING, pool_of
from testing.client import ContractClient
from testing.server import ServerProcess, until

Start = Callable[..., ServerProcess]
LOGIN = {"email": "alice@example.com", "password": PASSWORD}


def test_the_routes_that_hash_are_known_before_a_view_runs() -> None:
    assert {
        ("POST", "/api/v1/auth/register"),
        ("POST", "/api/v1/auth/login"),
        ("POST", "/api/v1/auth/password/change"),
        ("POST", "/api/v1/auth/password/reset/confirm"),
        ("POST", "/api/v1/auth/email/change"),
        ("POST", "/account/reset"),
        ("POST", "/admin/login/"),
        ("POST", "/admin/password_change/"),
    } == HASHING


@pytest.mark.parametrize(("method", "path"), sorted(HASHING))
def test_a_route_that_hashes_has_its_own_threads(method: str, path: str) -> None:
    assert pool_of(method, path) is not pool_of("GET", "/api/v1/posts")
    assert pool_of(method, path) is not pool_of("POST", "/api/v1/posts")


def test_the_page_that_a_login_begins_with_waits_with_the_logins() -> None:
    page = "/admin/login/"
    assert pool_of("GET", page) is pool_of("HEAD", page) is pool_of("POST", page)
    assert pool_of("GET", "/admin/") is pool_of("GET", "/api/v1/posts")


def test_the_hasher_of_the_tests_fails_in_other_threads() -> None:
    """The hasher of the tests checks the thread of each request to a real server."""
    with ThreadPoolExecutor(1, thread_name_prefix="reading") as pool:
        refused = pool.submit(make_password, PASSWORD).exception()
    assert isinstance(refused, AssertionError)


def test_a_route_that_hashes_without_declaring_it_fails_the_test(
    anonymous: ContractClient, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    login: Any = AuthViewSet.login
    monkeypatch.setattr(login, "endpoint", replace(login.endpoint, hashes=False))
    with pytest.raises(AssertionError, match="POST /api/v1/auth/login hashes"):
        anonymous.post("/api/v1/auth/login", LOGIN)


@contextmanager
def locked(rows: QuerySet[Any]) -> Iterator[None]:
    """Hold the locks that the server needs: of these rows, or on SQLite of the database."""
    with transaction.atomic():
        assert list(rows.select_for_update())
        yield


def impatient(start_once: Start, **environment: str) -> ServerProcess:
    """Return a server whose requests wait half a second for a thread, and long for a lock. It takes
    the address of the client from a header."""
    return start_once(
        PARLEY_THREAD_WAIT="0.5", DB_LOCK_TIMEOUT="60", SERVER_TRUSTED_PROXIES="1", **environment
    )


@contextmanager
def every_writer_blocked(server: ServerProcess, alice: Person) -> Iterator[httpx.Response]:
    """Have a request of another client hang in each thread that writes; yield the response to one
    more. Those that hang succeed in the end."""
    post, threads = published_by(alice), settings.WRITING_THREADS
    with ThreadPoolExecutor() as clients:
        with locked(Post.objects.filter(pk=post.pk)):
            asked = [
                clients.submit(change, server, alice, post, client_number(n))
                for n in range(threads + 1)
            ]
            refused = until(lambda: next((one for one in asked if one.done()), None))
            assert refused is not None
            yield refused.result()
            held = [one for one in asked if one is not refused]
            assert not any(one.done() for one in held)
        assert {one.result().status_code for one in held} == {200}


def change(
    server: ServerProcess, alice: Person, post: Post, client: dict[str, str]
) -> httpx.Response:
    """Change the title of Alice's post in a thread of this request alone: with a query string it is
    not committed in a group."""
    headers = {"Authorization": f"Bearer {alice.access}", **client}
    path = f"/api/v1/posts/{post.pk}?alone"
    return server.call("PATCH", path, json={"title": "Night ferry"}, headers=headers)


def client_number(number: int) -> dict[str, str]:
    """Return the header in which a trusted proxy gives the address of a client."""
    return {"X-Forwarded-For": f"10.9.{number // 256}.{number % 256}"}


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_readers_are_served_while_every_writer_is_blocked(start_once: Start, alice: Person) -> None:
    server = impatient(start_once)
    with every_writer_blocked(server, alice) as refused:
        assert refused.status_code == 503
        assert refused.json()["code"] == "SERVICE_UNAVAILABLE"
        assert refused.json()["meta"]["requestId"] == refused.headers["X-Request-ID"]
        assert int(refused.headers["Retry-After"]) > 0
        # Requests that read have their own threads, and so have those that hash.
        assert server.call("GET", "/api/v1/posts").status_code == 200
        wrong = {**LOGIN, "password": "wrong"}
        assert server.call("POST", "/api/v1/auth/login", json=wrong).status_code == 401


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_request_over_the_limit_takes_no_thread(start_once: Start, alice: Person) -> None:
    server = impatient(start_once, RATE_LIMIT_BURST="1", RATE_LIMIT_REQUESTS_PER_SECOND="1")

    def flood() -> int:
        return server.call("POST", "/api/v1/posts", headers=client_number(60_000)).status_code

    with every_writer_blocked(server, alice), ThreadPoolExecutor(2) as clients:
        asked = [clients.submit(flood) for _ in range(2)]
        assert {one.result() for one in asked} == {429, 503}
        # Health checks are never refused.
        for path in ("/health", "/ready"):
            responses = [server.call("GET", path, headers=client_number(60_000)) for _ in range(5)]
            assert {one.status_code for one in responses} == {200}


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time.")
def test_one_client_cannot_block_every_writer(start_once: Start, alice: Person) -> None:
    server, post = impatient(start_once), published_by(alice)
    with ThreadPoolExecutor() as clients, locked(Post.objects.filter(pk=post.pk)):
        asked = [clients.submit(change, server, alice, post, client_number(1)) for _ in range(8)]
        # All but one, which has the thread, have waited for too long.
        until(lambda: sum(one.done() for one in asked) == 7)
        assert {one.result().status_code for one in asked if one.done()} == {503}
        ticket = "/api/v1/auth/ws-ticket"
        headers = {"Authorization": f"Bearer {alice.access}", **client_number(2)}
        assert server.call("POST", ticket, headers=headers).status_code == 200


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_reads_are_served_while_logins_hang(start_once: Start, alice: Person) -> None:
    server = impatient(start_once)

    def log_in(number: int = 0) -> int:
        path = "/api/v1/auth/login"
        return server.call("POST", path, json=LOGIN, headers=client_number(number)).status_code

    with ThreadPoolExecutor(8) as clients, locked(User.objects.filter(pk=alice.user.pk)):
        logins = [clients.submit(log_in, number) for number in range(8)]
        until(lambda: any(login.done() for login in logins))
        assert server.call("GET", "/api/v1/posts").status_code == 200
        assert next(login.result() for login in logins if login.done()) == 503
    assert {login.result() for login in logins} == {200, 503}
    assert log_in() == 200


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_server_hashes_in_its_hashing_threads(server: ServerProcess, moderator: Person) -> None:
    """The hasher of the tests fails in any other thread."""
    body = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}
    registered = server.call("POST", "/api/v1/auth/register", json=body)
    assert registered.status_code == 201
    assert server.call("POST", "/api/v1/auth/login", json=body).status_code == 200
    token = registered.json()["data"]["accessToken"]
    change = server.call(
        "POST",
        "/api/v1/auth/password/change",
        json={"currentPassword": PASSWORD, "newPassword": "another horse 7"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert change.status_code == 200
    page = server.call("GET", "/admin/login/")
    form = {"username": moderator.user.email, "password": PASSWORD, "next": "/admin/"}
    form["csrfmiddlewaretoken"] = page.cookies["csrftoken"]
    entered = server.call("POST", "/admin/login/", data=form, cookies=page.cookies)
    assert entered.status_code == 302
