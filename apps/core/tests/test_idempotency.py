"""Idempotency-Key: a POST that is repeated has its effect once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from apps.accounts.errors import SessionOver
from apps.accounts.models import User, WebsocketTicket
from apps.accounts.tests.people import PASSWORD, Person
from apps.core.http import idempotency
from apps.core.http.idempotency import idempotency_keys_prune
from apps.core.models import IdempotencyKey
from apps.core.tests.together import together
from apps.posts import services
from apps.posts.models import Post
from testing.client import ContractClient

KEY = {"Idempotency-Key": "a-key"}
POST = {"title": "A title", "content": "Some content."}


def write(person: Person, more: Any = None, **headers: str) -> Any:
    """Create a post: without a key, every repetition would create another one."""
    return person.post("/posts", POST | (more or {}), **(KEY | headers))


def posts() -> int:
    return Post.objects.count()


def without_meta(response: Any) -> dict[str, Any]:
    return {name: value for name, value in response.json().items() if name != "meta"}


def test_a_repetition_without_a_key_is_another_request(alice: Person) -> None:
    for _ in range(2):
        alice.post("/posts", POST)
    assert posts() == 2
    assert not IdempotencyKey.objects.exists()


def test_a_repetition_gets_the_first_answer_and_has_no_effect(alice: Person) -> None:
    """A client that lost the answer retries, and its retry must not create a second post."""
    first, second = write(alice), write(alice)
    assert without_meta(second) == without_meta(first)
    assert second.status_code == first.status_code == 201
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert posts() == 1


def test_a_repetition_has_its_own_meta(alice: Person) -> None:
    first, second = write(alice), write(alice, **{"X-Request-ID": "second"})
    assert second.json()["meta"]["requestId"] == "second" != first["X-Request-ID"]


def test_the_order_of_the_fields_does_not_matter(alice: Person) -> None:
    write(alice, {"a": 1, "b": {"c": 2, "d": 3}})
    again = write(alice, {"b": {"d": 3, "c": 2}, "a": 1})
    assert again["Idempotent-Replayed"] == "true"


def test_the_same_key_with_another_body_is_refused(alice: Person) -> None:
    write(alice, {"a": 1})
    response = write(alice, {"a": 2})
    assert response.status_code == 422
    assert response.json()["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert posts() == 1


def test_the_same_key_on_another_route_is_refused(alice: Person) -> None:
    write(alice)
    response = alice.post("/auth/logout", **KEY)
    assert response.json()["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert alice.get("/auth/profile").status_code == 200


def test_a_refusal_is_kept_and_its_work_is_not_repeated(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"currentPassword": "a wrong one", "newPassword": "battery staple 7"}
    first = alice.post("/auth/password/change", body, **KEY)
    monkeypatch.setattr("apps.accounts.password_changes.password_change", None)
    second = alice.post("/auth/password/change", body, **KEY)
    assert (first.status_code, second.status_code) == (422, 422)
    assert second["Idempotent-Replayed"] == "true"
    assert without_meta(second) == without_meta(first)


def test_a_failure_is_not_kept_and_has_no_effect(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = services.post_create

    def create_and_fail(actor: User, **post: Any) -> Post:
        create(actor, **post)
        raise RuntimeError

    monkeypatch.setattr(services, "post_create", create_and_fail)
    assert write(alice).status_code == 500
    assert posts() == 0
    monkeypatch.setattr(services, "post_create", create)
    response = write(alice)
    assert response.status_code == 201
    assert "Idempotent-Replayed" not in response
    assert posts() == 1


def test_the_writes_of_a_refused_request_are_rolled_back(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = services.post_create

    def create_and_refuse(actor: User, **post: Any) -> Post:
        create(actor, **post)
        raise SessionOver

    monkeypatch.setattr(services, "post_create", create_and_refuse)
    assert [write(alice).status_code for _ in "12"] == [401, 401]
    assert posts() == 0


def test_a_repetition_takes_over_from_a_process_that_died(alice: Person) -> None:
    """Such a process leaves the row of the key without an answer, and no effect."""
    write(alice)
    Post.objects.all().delete()
    IdempotencyKey.objects.update(status=None, body=None)
    response = write(alice)
    assert response.status_code == 201
    assert "Idempotent-Replayed" not in response
    assert posts() == 1
    assert write(alice)["Idempotent-Replayed"] == "true"


@pytest.mark.django_db(transaction=True)
def test_one_of_several_concurrent_requests_has_an_effect(alice: Person) -> None:
    answers: list[Any] = together(*[lambda: write(_own_client(alice))] * 4)
    statuses = [answer.status_code for answer in answers]
    assert 201 in statuses
    assert set(statuses) <= {201, 409}
    assert sum("Idempotent-Replayed" not in a for a in answers if a.status_code == 201) == 1
    assert posts() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="Writers wait for each other on SQLite.")
def test_a_second_request_is_409_while_the_first_runs(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = services.post_create
    running, may_end = threading.Event(), threading.Event()

    def create_slowly(actor: User, **post: Any) -> Post:
        running.set()
        assert may_end.wait(timeout=20)
        return create(actor, **post)

    monkeypatch.setattr(services, "post_create", create_slowly)

    def first() -> Any:
        try:
            return write(_own_client(alice))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(first)
        try:
            assert running.wait(timeout=20)
            second = write(alice)
        finally:
            may_end.set()
        assert answer.result().status_code == 201
    assert second.status_code == 409
    assert second.json()["code"] == "CONFLICT"
    assert posts() == 1


def test_a_lost_database_is_503_and_not_a_running_request(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(**_: Any) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(IdempotencyKey.objects, "select_for_update", lost)
    response = write(alice)
    assert (response.status_code, response.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert posts() == 0


def _own_client(person: Person) -> Person:
    client = ContractClient(headers={"Authorization": f"Bearer {person.access}"})
    return Person(person.user, client, person.access, person.refresh)


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\tb", "\x7f"])
def test_an_invalid_key_is_refused(alice: Person, key: str) -> None:
    response = write(alice, **{"Idempotency-Key": key})
    assert response.status_code == 422
    assert [e["field"] for e in response.json()["errors"]] == ["Idempotency-Key"]
    assert posts() == 0
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("key", ["x", "x" * 255, "!~{}\"'\\"])
def test_a_key_may_have_any_visible_ascii_characters(alice: Person, key: str) -> None:
    write(alice, **{"Idempotency-Key": key})
    assert write(alice, **{"Idempotency-Key": key})["Idempotent-Replayed"] == "true"


def test_two_users_may_use_the_same_key(alice: Person, bob: Person) -> None:
    first, second = write(alice), write(bob)
    assert "Idempotent-Replayed" not in second
    assert first.json()["data"] != second.json()["data"]
    assert posts() == 2


def test_the_key_of_an_anonymous_user_is_not_kept(anonymous: ContractClient, db: Any) -> None:
    """A kept answer would have no owner, and it would hold tokens."""
    body = {"name": "Dora", "email": "dora@example.com", "password": PASSWORD}
    answers = [anonymous.post("/api/v1/auth/register", body, headers=KEY) for _ in "12"]
    assert [answer.status_code for answer in answers] == [201, 409]
    assert not IdempotencyKey.objects.exists()


def test_a_key_needs_a_valid_token(alice: Person) -> None:
    write(alice)
    alice.post("/auth/logout")
    assert write(alice).status_code == 401


def test_other_methods_need_no_key(alice: Person) -> None:
    for number in range(2):
        alice.patch("/auth/profile", {"bio": f"{number}"}, **KEY)
    assert User.objects.get().bio == "1"
    assert not IdempotencyKey.objects.exists()


def test_kept_keys_hold_no_password(alice: Person) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": "battery staple 7"}
    assert alice.post("/auth/password/change", body, **KEY).status_code == 200
    kept = str(IdempotencyKey.objects.values().get())
    assert PASSWORD not in kept
    assert "battery" not in kept


def test_tickets_are_not_kept_and_each_request_gets_a_new_one(alice: Person) -> None:
    """A kept ticket would be readable in the table for a day, and may be consumed already."""
    first, second = (alice.post("/auth/ws-ticket", **KEY) for _ in "12")
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["data"]["ticket"] != second.json()["data"]["ticket"]
    assert WebsocketTicket.objects.count() == 2
    assert not IdempotencyKey.objects.exists()


def test_the_keys_of_a_user_are_limited_and_each_stays_valid(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MOST_KEPT", 2)
    assert [write(alice, **{"Idempotency-Key": key}).status_code for key in "12"] == [201, 201]
    refused = write(alice, **{"Idempotency-Key": "3"})
    assert (refused.status_code, refused.json()["code"]) == (429, "TOO_MANY_IDEMPOTENCY_KEYS")
    assert 86_000 < int(refused["Retry-After"]) <= 86_400
    assert posts() == IdempotencyKey.objects.count() == 2
    assert write(alice, **{"Idempotency-Key": "1"})["Idempotent-Replayed"] == "true"
    assert alice.post("/posts", POST).status_code == 201
    assert write(bob).status_code == 201


def test_keys_are_kept_for_a_day(alice: Person) -> None:
    ages = {"young": timedelta(hours=23, minutes=59), "old": timedelta(hours=24, minutes=1)}
    for key, age in ages.items():
        write(alice, **{"Idempotency-Key": key})
        IdempotencyKey.objects.filter(key=key).update(created_at=timezone.now() - age)
    assert idempotency_keys_prune() == 1
    assert IdempotencyKey.objects.get().key == "young"
