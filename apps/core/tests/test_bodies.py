"""Malformed bodies: every route that takes a body answers them with a refusal."""

from typing import Any

import pytest

from apps.accounts.models import Session, User
from apps.accounts.tests.people import Person
from apps.core.tests.routes import WITH_A_BODY

MALFORMED = {
    "a brace alone": b"{",
    "a trailing comma": b'{"name": "x",}',
    "a comment": b'{"name": "x"} // x',
    "a second object": b"{}{}",
    "single quotes": b"{'name': 'x'}",
    "not a number": b'{"name": NaN}',
    "infinity": b'{"name": -Infinity}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "a lone surrogate as a key": b'{"\\udfff": 1}',
    "invalid UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "a raw NUL": b'{"name": "a\x00b"}',
    "deep": b'{"name":' * 10_000 + b"1" + b"}" * 10_000,
    "deep and unclosed": b"[" * 100_000,
    "a list": b"[]",
    "a list of objects": b'[{"name": "x"}]',
    "a string": b'"name"',
    "a number": b"5",
    "null": b"null",
    "true": b"true",
}
WRONG: dict[str, Any] = {
    "null": None,
    "a number": 5,
    "the largest 64-bit number": 2**63 - 1,
    "the largest unsigned number": 2**64 - 1,
    "a larger number": 2**70,
    "a fraction": 1e308,
    "true": True,
    "a list": ["x"],
    "a list of lists": [[[[[[["x"]]]]]]],
    "an object": {"x": {"y": []}},
    "an empty string": "",
    "a string": "text",
    "a NUL": "a\0b",
    "a long string": "x" * 50_000,
    "characters beyond the first plane": "\U0001f600" * 50,
}
FIELDS = (
    *("name", "email", "password", "currentPassword", "newPassword", "refreshToken", "bio"),
    *("title", "content", "status", "tags", "version"),
    *("receiverId", "type", "clientId", "messageIds", "conversationId", "upTo"),
)


def send(person: Person, method: str, path: str, body: Any, **headers: str) -> Any:
    options = {"content_type": "application/json"} if isinstance(body, bytes) else {}
    return getattr(person.client, method)(path, body, headers=headers, **options)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_body_that_is_not_a_json_object_is_400_on_every_route(alice: Person, body: bytes) -> None:
    for method, path in WITH_A_BODY:
        response = send(alice, method, path, body)
        assert response.status_code == 400, f"{method} {path}"
        assert response.json()["code"] == "BAD_REQUEST"
    assert list(User.objects.values_list("name", flat=True)) == ["Alice"]
    assert Session.objects.filter(ended_at=None).count() == 1


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["", "with a key"])
def test_no_value_of_any_field_crashes_a_route(
    alice: Person, value: Any, headers: dict[str, str]
) -> None:
    """The test client also validates each answer against the schema."""
    for method, path in WITH_A_BODY:
        # Each route gets its own key: a reused key would be refused before the route runs.
        own = {name: f"{key}{path}" for name, key in headers.items()}
        response = send(alice, method, path, dict.fromkeys(FIELDS, value), **own)
        assert response.status_code < 500, f"{method} {path}"


@pytest.mark.parametrize("field", FIELDS)
def test_a_string_of_a_megabyte_crashes_no_route(alice: Person, field: str) -> None:
    for method, path in WITH_A_BODY:
        response = send(alice, method, path, {field: "x" * 1_000_000})
        assert 400 <= response.status_code < 500, f"{method} {path}"


@pytest.mark.parametrize("body", [b"", b" ", b"{}"])
def test_an_empty_body_crashes_no_route(alice: Person, body: bytes) -> None:
    for method, path in WITH_A_BODY:
        assert send(alice, method, path, body).status_code in {400, 404, 422}, f"{method} {path}"


def test_the_last_value_of_a_repeated_key_counts(alice: Person) -> None:
    body = b'{"bio": "first", "bio": "second"}'
    response = send(alice, "patch", "/api/v1/auth/profile", body)
    assert response.json()["data"]["bio"] == "second"


def test_unknown_fields_are_ignored(alice: Person) -> None:
    response = alice.patch("/auth/profile", {"bio": "x", "__proto__": {}, "": 1, "isAdmin": True})
    assert response.status_code == 200


@pytest.mark.parametrize("depth", [200, 254, 255, 300, 1_000, 1_100])
def test_no_nesting_depth_crashes_a_request_with_a_key(alice: Person, depth: int) -> None:
    """The JSON parser accepts deeper nesting than the serializer, which the fingerprint uses."""
    body = b'{"title":' + b"[" * depth + b"]" * depth + b"}"
    response = send(alice, "post", "/api/v1/posts", body, **{"Idempotency-Key": "k"})
    assert response.status_code in {400, 422}


def test_an_answer_that_repeats_a_nul_can_be_kept(alice: Person) -> None:
    """PostgreSQL cannot store a NUL in JSON."""
    body = {"title": "A title", "content": "Some content.", "status": "a\0b"}
    first, second = (
        alice.post("/posts", body, **{"Idempotency-Key": "k"}).json()["errors"] for _ in "12"
    )
    assert first == second
    assert first[0]["code"] == "invalid_choice"
