"""The middleware of pages does its work for pages, and passes the requests of the API on."""

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.utils.module_loading import import_string

pytestmark = pytest.mark.django_db

PAGES = [path for path in settings.MIDDLEWARE if path.startswith("apps.core.http.pages.")]
# What they add to a request: session, token of forms, user and messages.
ADDED = {"session", "user", "_messages"}


def added_to(path: str) -> set[str]:
    """Return what the middleware of pages adds to a request with this path."""
    request = RequestFactory().get(path)
    seen: list[set[str]] = []

    def answer(request: HttpRequest) -> HttpResponse:
        seen.append(set(vars(request)) | ({"form"} if "CSRF_COOKIE" in request.META else set()))
        return HttpResponse()

    handler = answer
    for middleware in reversed(PAGES):
        handler = import_string(middleware)(handler)
    request.COOKIES[settings.CSRF_COOKIE_NAME] = "x" * 32
    handler(request)
    return seen[0] & {*ADDED, "form"}


def test_a_page_has_session_user_messages_and_forms() -> None:
    assert len(PAGES) == 5
    assert added_to("/admin/") == {*ADDED, "form"}


def test_a_request_of_the_api_has_none_of_them() -> None:
    assert added_to("/api/v1/posts") == set()


def test_the_api_reads_no_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    def unread(session: SessionBase) -> None:
        raise AssertionError("a session was read")

    monkeypatch.setattr(SessionBase, "_get_session", unread)
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = "somebody's"
    response = client.get("/api/v1/posts")
    assert response.status_code == 200
    assert not response.cookies


def test_a_form_from_another_site_is_refused_by_pages_only() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/admin/login/", {"username": "alice@example.com"}).status_code == 403
    assert client.post("/api/v1/auth/login", {}, "application/json").status_code == 422
