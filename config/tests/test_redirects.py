"""Paths that people type lead to the pages that they expect there."""

from collections.abc import Iterator

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

DOCS = "/docs/index.html"
EXPECTED = {
    "/": DOCS,
    "/docs": DOCS,
    "/docs/": DOCS,
    "/api/v1": DOCS,
    "/api/v1/": DOCS,
    "/admin": "/admin/",
}


def passed(path: str) -> Iterator[str]:
    """Yield the paths that a browser passes on its way from a path to the page that it shows."""
    answer = Client().get(path)
    while answer.status_code in {302, 308}:
        yield answer["Location"]
        answer = Client().get(answer["Location"])
    assert answer.status_code == 200


@pytest.mark.parametrize("path", EXPECTED)
def test_path_leads_to_the_page(path: str) -> None:
    assert EXPECTED[path] in list(passed(path))


@pytest.mark.parametrize("path", EXPECTED)
def test_head_is_answered_as_get_is(path: str) -> None:
    got, asked = Client().get(path), Client().head(path)
    assert asked.status_code == got.status_code in {302, 308}
    assert asked["Location"] == got["Location"]
    assert asked.content == b""


@pytest.mark.parametrize("path", [path for path in EXPECTED if path != "/api/v1/"])
def test_what_is_sent_to_such_a_path_is_refused_as_on_any_unknown_route(path: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    for method in (browser.post, browser.put, browser.patch, browser.delete):
        answer = method(path)
        assert answer.status_code == 404
        assert answer.json()["code"] == "NOT_FOUND"
