"""Names on the wire, and fields that accept their own type only."""

from typing import Any
from uuid import uuid4

import pytest
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from apps.core.http.handler import as_domain_error
from apps.core.serializers import (
    CamelSerializer,
    Identifier,
    ShortList,
    Text,
    WholeNumber,
    camelize,
    has_visible_characters,
)

ID = "0192f0c0-0000-7000-8000-000000000000"


class Inner(CamelSerializer):
    some_title = Text(min_length=2)


class Outer(CamelSerializer):
    some_text = Text(required=False)
    some_number = WholeNumber(min_value=1, max_value=9, required=False)
    some_id = Identifier(required=False)
    free_form = serializers.JSONField(required=False)
    many_items = Inner(many=True, required=False)
    tag_list = serializers.ListField(child=Text(max_length=2), required=False)


def errors_of(data: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        Outer.load(data)
    return [(error.field, error.code) for error in as_domain_error(refused.value).errors]


def test_names_are_in_camel_case_on_the_wire_only() -> None:
    assert camelize("a_long_name") == "aLongName"
    assert Outer.load({"someText": "x", "some_text": "y"}) == {"some_text": "x"}
    assert Outer({"some_text": "x"}).data == {"someText": "x"}


def test_the_keys_of_free_form_json_are_kept() -> None:
    free = {"snake_case": {"inner_key": 1}, "camelCase": [{"a_b": 2}]}
    assert Outer.load({"freeForm": free}) == {"free_form": free}
    assert Outer({"free_form": free}).data == {"freeForm": free}


def test_an_invalid_field_is_named_by_its_whole_path() -> None:
    """A form can only mark its fields if the answer says which ones are invalid."""
    items = [{"someTitle": "fine"}, {"someTitle": "x"}, {}]
    assert errors_of({"manyItems": items, "tagList": ["ok", "long"], "someNumber": "1"}) == [
        ("someNumber", "invalid"),
        ("manyItems.1.someTitle", "min_length"),
        ("manyItems.2.someTitle", "required"),
        ("tagList.1", "max_length"),
    ]


def test_an_error_without_a_field_belongs_to_the_body() -> None:
    error = as_domain_error(ValidationError([ErrorDetail("Wrong.", code="wrong")]))
    assert [each.as_dict() for each in error.errors] == [
        {"field": "body", "message": "Wrong.", "code": "wrong"}
    ]


@pytest.mark.parametrize("value", [5, 5.0, True, [], {}, "", " ", "a\0b", "\ud800"])
def test_a_text_field_accepts_only_text(value: Any) -> None:
    assert [field for field, _ in errors_of({"someText": value})] == ["someText"]


@pytest.mark.parametrize("value", ["5", True, 5.0, [], {}, 0, 10, 2**70])
def test_a_number_field_accepts_only_integers_within_its_bounds(value: Any) -> None:
    assert [field for field, _ in errors_of({"someNumber": value})] == ["someNumber"]


@pytest.mark.parametrize(
    "value", [5, True, [], "", "x", ID[:-1], ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}"]
)
def test_an_id_field_accepts_only_canonical_uuids(value: Any) -> None:
    assert [field for field, _ in errors_of({"someId": value})] == ["someId"]


def test_an_id_may_be_in_upper_case() -> None:
    assert str(Outer.load({"someId": ID.upper()})["some_id"]) == ID


@pytest.mark.parametrize("text", ["\u200b\u2060", "\x0f", "\ufeff \u00ad"])
def test_invisible_characters_are_no_text(text: str) -> None:
    assert not has_visible_characters(text)


@pytest.mark.parametrize("text", ["a\u200b", "🙂", "\U000e0fff", "\U0010abcd", "́"])
def test_unknown_characters_are_text(text: str) -> None:
    assert has_visible_characters(text)


def test_only_the_first_few_invalid_items_are_reported() -> None:
    """Each reported item costs time in which sockets and requests wait."""
    items = ShortList(child=Identifier(), max_length=500)
    with pytest.raises(ValidationError) as refused:
        items.run_validation(["x"] * 500)
    named: Any = refused.value.detail
    assert list(named) == list(range(10))
    good = [str(uuid4()) for _ in range(3)]
    with pytest.raises(ValidationError) as refused:
        items.run_validation([good[0], "x", good[1]])
    named = refused.value.detail
    assert list(named) == [1]
    assert [str(item) for item in items.run_validation(good)] == good


@pytest.mark.parametrize("text", ["half a pair \ud800", "\udfff", "é \udc80 é"])
def test_text_with_half_a_pair_of_surrogates_is_refused(text: str) -> None:
    """No database could store it."""

    class Note(CamelSerializer):
        text = Text()

    with pytest.raises(ValidationError) as refused:
        Note.load({"text": text})
    assert refused.value.get_codes() == {"text": ["surrogate_characters_not_allowed"]}
    assert Note.load({"text": "a whole pair: \U0001f6a2"}) == {"text": "a whole pair: \U0001f6a2"}
