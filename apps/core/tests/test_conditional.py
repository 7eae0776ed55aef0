"""ETag, If-None-Match and If-Match."""

from typing import Any

import pytest
from django.test import RequestFactory
from rest_framework.request import Request

from apps.core.errors import PreconditionFailed
from apps.core.http.conditional import conditional_answer, require_match

DATA = {"id": 1, "name": "Ada"}


def answer_to(etag: str | None = None, method: str = "GET", data: Any = None) -> Any:
    headers = {} if etag is None else {"If-None-Match": etag}
    request = RequestFactory().generic(method, "/", headers=headers)
    return conditional_answer(Request(request), "Found", data or DATA, "7")


TAG = str(answer_to()["ETag"])


def test_the_tag_depends_on_the_revision_and_on_all_data() -> None:
    assert TAG.startswith('"7.')
    assert answer_to()["ETag"] == TAG
    assert answer_to(data={**DATA, "name": "Bea"})["ETag"] != TAG


@pytest.mark.parametrize(
    "given", [TAG, f"W/{TAG}", f'"x", {TAG}', f"{TAG},W/{TAG}", "*", " * ", f' "x" ,{TAG}']
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_with_the_same_tag_gets_304_without_a_body(method: str, given: str) -> None:
    response = answer_to(given, method)
    assert response.status_code == 304
    assert response.data is None
    assert response["ETag"] == TAG


@pytest.mark.parametrize("given", ["", '"x"', '"7"', TAG.strip('"'), TAG[:-2] + '"', '"x", *'])
def test_a_client_with_another_tag_gets_the_data(given: str) -> None:
    response = answer_to(given)
    assert response.status_code == 200
    assert response.data["data"] == DATA


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("given", [TAG, "*"])
def test_the_answer_to_a_change_is_never_304(method: str, given: str) -> None:
    assert answer_to(given, method).status_code == 200


@pytest.mark.parametrize("given", ["", " ", "*", '"7"', '"7.abc"', '"6.x", "7.abc"', "7"])
def test_a_change_of_the_current_revision_passes(given: str) -> None:
    require_match(given, "7")


@pytest.mark.parametrize("given", ['"6.abc"', '"77.abc"', '".7"', 'W/"7.abc"', "x", '""', "7x"])
def test_a_change_of_another_revision_is_refused(given: str) -> None:
    with pytest.raises(PreconditionFailed):
        require_match(given, "7")
