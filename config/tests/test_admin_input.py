"""Nothing that the admin's pages are asked, and no form that they get, makes an error of ours."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.test import Client

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.core.admin import ReadOnlyAdmin
from apps.posts.services import post_create
from config.tests.test_admin import pages_of

pytestmark = pytest.mark.django_db

ODD = [
    "\0",
    "a\0b",
    "9" * 400,
    "-1",
    "1e5",
    "a,b",
    "None",
    "\N{LATIN SMALL LETTER E WITH ACUTE}" * 300,
]
# What Django reads of the address of a list, whatever the model.
PARAMETERS = (
    *("q", "p", "o", "e", "all", "_to_field", "_popup", "_facets", "_changelist_filters"),
    *("created_at__year", "created_at__month", "created_at__day", "nothing"),
)


@pytest.fixture
def browser(moderator: Person, bob: Person) -> Client:
    """The browser of a moderator, with something in each list."""
    post_create(bob.user, title="A title", content="Long enough to be one")
    browser = pages_of(moderator)
    browser.raise_request_exception = False
    return browser


def lists() -> Iterator[tuple[str, Any]]:
    """Return the address of each list, and its admin."""
    for model, its_admin in admin.site._registry.items():
        yield f"/admin/{model._meta.app_label}/{model._meta.model_name}/", its_admin


def failures(answers: Iterator[tuple[Any, Any]]) -> Iterator[Any]:
    """Return which of the requests were answered with an error of ours."""
    return (asked for asked, answer in answers if answer.status_code >= 500)


def questions(browser: Client) -> Iterator[tuple[Any, Any]]:
    for page, its_admin in lists():
        filters = [f"{name}{how}" for name in its_admin.list_filter for how in ("", "__exact")]
        for name in (*PARAMETERS, *filters, *(f"{name}__isnull" for name in its_admin.list_filter)):
            for value in ODD:
                yield (page, name, value), browser.get(page, {name: value})
        for name in ODD:
            yield (page, name), browser.get(page, {name: "1"})


def forms(browser: Client, key: str) -> Iterator[tuple[Any, Any]]:
    for page, its_admin in lists():
        for action in (*its_admin.actions, *ODD):
            for keys in ([], *([odd] for odd in ODD), [key] * 1200, [key, "\0"]):
                form = {"action": action, "_selected_action": keys}
                yield (page, action, keys[:1]), browser.post(page, form)
        for odd in ODD:
            form = {"action": its_admin.actions[0], "_selected_action": [key], "index": odd}
            yield (page, "index", odd), browser.post(page, form)


def pages(browser: Client) -> Iterator[tuple[Any, Any]]:
    for page, _ in lists():
        for odd in ODD:
            for of_it in ("", "change/", "history/", "delete/"):
                path = f"{page}{quote(odd, safe='')}/{of_it}"
                yield path, browser.get(path)


def test_no_question_to_a_list_breaks_it(browser: Client) -> None:
    assert list(failures(questions(browser))) == []


def test_no_form_of_a_list_breaks_it(browser: Client, moderator: Person) -> None:
    """Of the moderator themselves, to whom no action may be done."""
    assert list(failures(forms(browser, moderator.id))) == []


def test_a_form_with_a_key_that_cannot_be_one_does_nothing(browser: Client, bob: Person) -> None:
    form = {"action": "suspend", "_selected_action": [bob.id, "\0"]}
    assert browser.post("/admin/accounts/user/", form).status_code == 400
    assert User.objects.get(pk=bob.user.pk).status == User.Status.ACTIVE


def test_no_address_of_a_page_breaks_it(browser: Client) -> None:
    assert list(failures(pages(browser))) == []


def test_the_walk_finds_a_list_that_breaks(
    browser: Client, moderator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Django's own does."""
    monkeypatch.setattr(ReadOnlyAdmin, "response_action", admin.ModelAdmin.response_action)
    assert next(failures(forms(browser, moderator.id)))
