"""The effects of an endpoint's declaration, and declarations that contradict themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models import QuerySet
from django.urls import include, path
from pytest_django import Settings
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIClient

from apps.accounts.models import Session
from apps.accounts.tests.people import Person
from apps.core.http.endpoints import Access, Endpoint
from apps.core.http.pagination import Listing, ListQuery
from apps.core.http.viewsets import ApiViewSet
from apps.core.serializers import CamelSerializer, Text


@dataclass
class Boat:
    full_name: str
    revision: int = 7


class BoatInput(CamelSerializer):
    full_name = Text()


class BoatQuery(ListQuery):
    harbour = serializers.CharField(required=False)


class BoatOutput(CamelSerializer):
    full_name = serializers.CharField()


class DeviceOutput(CamelSerializer):
    id = serializers.UUIDField()


# The arguments of the methods, and whether they ran in a transaction.
calls: list[Any] = []


class BoatViewSet(ApiViewSet):
    @Endpoint(
        message="Sessions",
        query=BoatQuery,
        output=DeviceOutput,
        per_page=2,
        access=Access.ANYONE,
    )
    def list(self, request: Request, **filters: Any) -> QuerySet[Session]:
        calls.append(filters)
        return Session.objects.order_by("-id")

    @Endpoint(message="Built", status=201, existing_status=200, input=BoatInput, output=BoatOutput)
    def create(self, request: Request, full_name: str) -> tuple[Boat, bool]:
        calls.append(full_name)
        return Boat(full_name), full_name != "Argo"

    @Endpoint(message="Found", output=BoatOutput, access=Access.ANYONE, revision="revision")
    def retrieve(self, request: Request, pk: str) -> Boat:
        return Boat(pk)

    @Endpoint(message="Renamed", input=BoatInput, output=BoatOutput, revision="revision")
    def update(self, request: Request, pk: str, **changes: Any) -> Boat:
        calls.append(changes)
        return Boat(changes["full_name"], 8)

    @Endpoint(message="Sunk", revision="revision")
    def destroy(self, request: Request, pk: str, if_match: str) -> None:
        calls.append(if_match)

    @action(detail=False, methods=["get"])
    @Endpoint(message="Fleets", query=ListQuery, output=BoatOutput, per_page=10)
    def fleets(self, request: Request) -> Listing[Session]:
        def shown(rows: Sequence[Session]) -> Sequence[Boat]:
            calls.append(len(rows))
            return [Boat(row.user_agent) for row in rows]

        return Listing(Session.objects.order_by("-id"), shown)

    @action(detail=False, methods=["post"])
    @Endpoint(message="Boarded", access=Access.CREDENTIALS, secret=True, limit="register")
    def board(self, request: Request) -> None:
        calls.append(request.user)

    @action(detail=False, methods=["post"])
    @Endpoint(message="Locked", input=BoatInput, hashes=True)
    def lock(self, request: Request, full_name: str) -> Callable[[], None]:
        calls.append(connection.in_atomic_block)
        return lambda: calls.append(connection.in_atomic_block)


router = SimpleRouter(trailing_slash=False)
router.register("boats", BoatViewSet, basename="boats")
urlpatterns = [path("api/v1/", include(router.urls))]

ONE = "/api/v1/boats/0192f0c0-0000-7000-8000-000000000000"

pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _forget_calls() -> None:
    calls.clear()


@pytest.fixture
def authenticated(alice: Person) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {alice.access}"})


@pytest.fixture
def anonymous(db: Any) -> APIClient:
    return APIClient()


def test_the_method_gets_the_input_and_its_result_is_rendered(authenticated: APIClient) -> None:
    response = authenticated.post("/api/v1/boats", {"fullName": " Aurora ", "other": 1})
    assert (response.status_code, calls) == (201, ["Aurora"])
    body = response.json()
    assert (body["message"], body["data"]) == ("Built", {"fullName": "Aurora"})


def test_an_existing_object_has_its_own_status(authenticated: APIClient) -> None:
    assert authenticated.post("/api/v1/boats", {"fullName": "Argo"}).status_code == 200


def test_a_method_is_not_called_with_invalid_input(authenticated: APIClient) -> None:
    response = authenticated.post("/api/v1/boats", {"fullName": 5})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "fullName")
    assert calls == []


def test_a_list_shows_per_page_rows(authenticated: APIClient, alice: Person) -> None:
    for _ in range(2):
        alice.another_device()
    body = authenticated.get("/api/v1/boats", {"harbour": "Ostend", "page": "1"}).json()
    assert (len(body["data"]), body["pagination"]["limit"]) == (2, 2)
    assert calls == [{"harbour": "Ostend"}]


def test_a_listing_converts_all_rows_of_a_page_at_once(
    authenticated: APIClient, alice: Person
) -> None:
    alice.another_device()
    body = authenticated.get("/api/v1/boats/fleets").json()
    assert body["data"] == [{"fullName": "tablet"}, {"fullName": "phone"}]
    assert calls == [2]


def test_a_client_with_the_current_revision_gets_304(anonymous: APIClient) -> None:
    first = anonymous.get(ONE)
    assert first["ETag"].startswith('"7.')
    assert anonymous.get(ONE, headers={"If-None-Match": first["ETag"]}).status_code == 304


def test_a_change_gets_the_if_match_header(authenticated: APIClient) -> None:
    response = authenticated.put(ONE, {"fullName": "Aurora"}, headers={"If-Match": '"7"'})
    assert response["ETag"].startswith('"8.')
    assert authenticated.delete(ONE).json()["message"] == "Sunk"
    assert calls == [{"full_name": "Aurora", "if_match": '"7"'}, ""]


BAD = {"Authorization": "Bearer garbage"}


def test_an_endpoint_is_for_users_by_default(anonymous: APIClient) -> None:
    assert anonymous.post("/api/v1/boats", {"fullName": "Aurora"}).status_code == 401
    assert calls == []


def test_a_bad_token_is_refused_even_where_anyone_may_call(anonymous: APIClient) -> None:
    assert anonymous.get(ONE).status_code == 200
    assert anonymous.get(ONE, headers=BAD).status_code == 401


def test_a_token_is_ignored_where_the_body_holds_the_credentials(anonymous: APIClient) -> None:
    assert anonymous.post("/api/v1/boats/board", headers=BAD).status_code == 200


@pytest.mark.parametrize(
    ("method", "where", "status"), [("put", "/board", 405), ("put", "", 401), ("post", "/0", 401)]
)
def test_a_missing_method_needs_the_strictest_access_of_its_route(
    anonymous: APIClient, method: str, where: str, status: int
) -> None:
    where = ONE if where == "/0" else f"/api/v1/boats{where}"
    assert getattr(anonymous, method)(where).status_code == status


def test_a_secret_answer_may_not_be_cached(anonymous: APIClient) -> None:
    assert anonymous.post("/api/v1/boats/board")["Cache-Control"] == "no-store"
    assert anonymous.get(ONE)["Cache-Control"] != "no-store"


def test_a_limit_counts_before_the_method_runs(anonymous: APIClient, settings: Settings) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(register=1)
    statuses = [anonymous.post("/api/v1/boats/board").status_code for _ in "12"]
    assert (statuses, len(calls)) == ([200, 429], 1)


@pytest.mark.django_db(transaction=True)
def test_a_password_is_hashed_outside_of_the_transaction_of_the_key(
    authenticated: APIClient,
) -> None:
    response = authenticated.post(
        "/api/v1/boats/lock", {"fullName": "Aurora"}, headers={"Idempotency-Key": "k"}
    )
    assert (response.status_code, calls) == (200, [False, True])


ROWS = QuerySet[Session]
WRONG: dict[str, tuple[dict[str, Any], Any]] = {
    "has no return annotation": ({}, ...),
    "has an output but returns nothing": ({"output": BoatOutput}, None),
    "has no output for what it returns": ({}, Boat),
    "returns a list but has no per_page": ({"output": BoatOutput}, ROWS),
    "returns a list but has no per_page ": ({"output": BoatOutput}, Listing[Session]),
    "has a ListQuery but no per_page": (
        {"output": BoatOutput, "query": BoatQuery},
        Boat,
    ),
    "has per_page but no ListQuery": (
        {"output": BoatOutput, "query": BoatInput, "per_page": 5},
        ROWS,
    ),
    "has per_page but no ListQuery ": ({"output": BoatOutput, "per_page": 5}, ROWS),
    "has per_page but no output": ({"query": BoatQuery, "per_page": 5}, None),
    "has per_page but returns no QuerySet or Listing": (
        {"output": BoatOutput, "query": BoatQuery, "per_page": 5},
        Boat,
    ),
    "has both per_page and revision": (
        {"output": BoatOutput, "query": BoatQuery, "per_page": 5, "revision": "revision"},
        ROWS,
    ),
    "has both per_page and existing_status": (
        {"output": BoatOutput, "query": BoatQuery, "per_page": 5, "existing_status": 200},
        ROWS,
    ),
    "has both revision and existing_status": (
        {"output": BoatOutput, "revision": "revision", "existing_status": 200},
        tuple[Boat, bool],
    ),
    "has a revision and a status other than 200": (
        {"output": BoatOutput, "revision": "revision", "status": 201},
        Boat,
    ),
    "has a revision and is secret": (
        {"output": BoatOutput, "revision": "revision", "secret": True},
        Boat,
    ),
    "has existing_status but returns no pair": (
        {"output": BoatOutput, "existing_status": 200},
        Boat,
    ),
    "returns a pair but has no existing_status": ({"output": BoatOutput}, tuple[Boat, bool]),
    "has the status of a refusal, which is raised": ({"status": 404}, None),
    "hashes before the lock but returns no function": ({"hashes": True}, None),
    "returns a function but does not hash before the lock": ({}, Callable[[], None]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_declaration_that_contradicts_itself_or_its_method_is_an_error_at_import(
    wrong: str,
) -> None:
    declaration, returned = WRONG[wrong]

    def sail(self: Any, request: Request) -> Any: ...

    sail.__annotations__ = {} if returned is ... else {"return": returned}
    with pytest.raises(ImproperlyConfigured, match=f"sail .*{wrong.strip()}"):
        Endpoint(message="Sailed", **declaration)(sail)


def test_a_declaration_needs_a_message() -> None:
    with pytest.raises(TypeError, match="message"):
        Endpoint()  # type: ignore[call-arg]
