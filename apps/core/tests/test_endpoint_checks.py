"""Endpoints that do not fit their routes: `manage.py check` reports each of them."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.routers import SimpleRouter

from apps.accounts.models import User
from apps.accounts.views import UserViewSet
from apps.core.http.endpoint_checks import problems
from apps.core.http.endpoints import Access, Endpoint
from apps.core.http.pagination import ListQuery
from apps.core.http.viewsets import ApiViewSet
from apps.core.serializers import CamelSerializer, Text


class BoatInput(CamelSerializer):
    full_name = Text()
    flag = Text(required=False)


class BoatOutput(CamelSerializer):
    full_name = serializers.CharField()


shows = Endpoint(message="Boat", output=BoatOutput)
takes = Endpoint(message="Boat", input=BoatInput, output=BoatOutput)
changes = Endpoint(message="Boat", input=BoatInput, output=BoatOutput, revision="version")


def problems_of(**methods: Any) -> list[str]:
    """Return the problems of a viewset with these methods."""
    routes = SimpleRouter(trailing_slash=False)
    routes.register("boats", type("BoatViewSet", (ApiViewSet,), methods), basename="boats")
    return list(problems(routes.urls, ["register"]))


def says(found: list[str], *sentences: str) -> bool:
    """Return whether the problems are exactly these sentences, each after its route."""
    return len(found) == len(sentences) and all(
        each.endswith(f"{sentence}.") for each, sentence in zip(found, sentences, strict=True)
    )


def test_the_existing_endpoints_have_no_problems() -> None:
    assert [each for each in run_checks() if each.id == "parley.E020"] == []


def test_a_method_without_a_declaration_stops_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def retrieve(self: Any, request: Request, pk: str) -> Any: ...

    monkeypatch.setattr(UserViewSet, "retrieve", retrieve)
    with pytest.raises(SystemCheckError, match=r"GET users-detail \(.*retrieve\) has no @Endpoint"):
        call_command("check")


def test_a_method_must_take_its_path_and_its_fields() -> None:
    @shows
    def create(self: Any, request: Request, **data: Any) -> Any: ...

    assert says(problems_of(create=create), "has **keywords that are always empty")

    @takes
    def create_some(self: Any, request: Request, full_name: str) -> Any: ...

    assert says(problems_of(create=create_some), "is given flag but does not take it")

    @takes
    def create_all(self: Any, request: Request, full_name: str, flag: str) -> Any: ...

    assert says(problems_of(create=create_all), "requires flag, which it is not always given")

    @takes
    def create_more(self: Any, request: Request, full_name: str, mast: str, **data: Any) -> Any: ...

    assert says(problems_of(create=create_more), "requires mast, which it is not always given")

    @changes
    def update(self: Any, request: Request, pk: str, full_name: str, flag: str = "") -> Any: ...

    assert says(problems_of(update=update), "is given if_match but does not take it")


def test_methods_with_matching_parameters_have_no_problems() -> None:
    @takes
    def create(self: Any, request: Request, full_name: str, flag: str = "") -> Any: ...

    @changes
    def update(self: Any, request: Request, pk: str, **data: Any) -> Any: ...

    @Endpoint(message="Sunk", revision="version")
    def destroy(self: Any, request: Request, pk: str, if_match: str) -> None: ...

    assert problems_of(create=create, update=update, partial_update=update, destroy=destroy) == []


def test_a_path_and_a_field_must_not_have_the_same_name() -> None:
    @action(detail=False, methods=["post"], url_path="(?P<flag>[a-z]+)")
    @takes
    def hoist(self: Any, request: Request, full_name: str, flag: str) -> Any: ...

    assert says(problems_of(hoist=hoist), "is given flag twice, from the path and from a field")


def test_a_read_has_no_body() -> None:
    @takes
    def fleet(self: Any, request: Request, **data: Any) -> Any: ...

    assert says(problems_of(list=fleet), "has an input, but a GET has no body")


def test_only_a_get_has_pages() -> None:
    @Endpoint(message="Boats", query=ListQuery, output=BoatOutput, per_page=10)
    def create(self: Any, request: Request) -> QuerySet[User]:
        return User.objects.all()

    assert says(problems_of(create=create), "has per_page but is not a GET")


def test_one_object_is_returned_and_changed_with_its_revision() -> None:
    @shows
    def retrieve(self: Any, request: Request, pk: str) -> Any: ...

    assert says(problems_of(retrieve=retrieve), "returns one object without its revision")

    @takes
    def update(self: Any, request: Request, pk: str, **data: Any) -> Any: ...

    assert says(problems_of(update=update), "changes one object without its revision")

    @Endpoint(message="Boat", output=BoatOutput, revision="version")
    def partial_update(self: Any, request: Request, pk: str, if_match: str) -> Any: ...

    assert says(problems_of(partial_update=partial_update), "has a body but no input")

    @Endpoint(message="Boat", input=BoatInput, revision="version")
    def update_blindly(self: Any, request: Request, pk: str, **data: Any) -> None: ...

    assert says(problems_of(update=update_blindly), "has a revision but no output")

    @changes
    def create(self: Any, request: Request, **data: Any) -> Any: ...

    assert says(problems_of(create=create), "has a revision, but a POST does not use one")


def test_an_endpoint_that_hashes_has_a_fixed_path() -> None:
    @Endpoint(message="Locked", access=Access.CREDENTIALS, hashes=True)
    def lock(self: Any, request: Request, pk: str) -> None: ...

    sentence = "hashes but is not a POST with a fixed path, by which its threads are chosen"
    assert says(problems_of(lock=action(detail=True, methods=["post"])(lock)), sentence)

    @Endpoint(message="Locked", access=Access.CREDENTIALS, hashes=True)
    def look(self: Any, request: Request) -> None: ...

    assert says(problems_of(look=action(detail=False)(look)), sentence)


def test_a_limit_must_be_declared_by_a_feature() -> None:
    @Endpoint(message="Sailed", limit="sail")
    def create(self: Any, request: Request) -> None: ...

    assert says(problems_of(create=create), "has the limit sail, which no feature declares")
