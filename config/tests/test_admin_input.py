"""No query and no form makes a page of the admin fail with a server error."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.core.admin import ReadOnlyAdmin, lookups_of
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
# The parameters that Django reads from the query of a list, whatever the model.
PARAMETERS = (
    *("q", "p", "o", "e", "all", "_to_field", "_popup", "_facets", "_changelist_filters"),
    *("created_at__year", "created_at__month", "created_at__day", "nothing"),
)


@pytest.fixture
def browser(moderator: Person, bob: Person) -> Client:
    """The browser of a moderator, with a row in each list."""
    post_create(bob.user, title="A title", content="Long enough to be one")
    browser = pages_of(moderator)
    browser.raise_request_exception = False
    return browser


def lists() -> Iterator[tuple[str, Any]]:
    """Return the address of each list, and its admin."""
    for model, its_admin in admin.site._registry.items():
        yield f"/admin/{model._meta.app_label}/{model._meta.model_name}/", its_admin


def failures(answers: Iterator[tuple[Any, Any]]) -> Iterator[Any]:
    """Return the requests that got a server error."""
    return (asked for asked, answer in answers if answer.status_code >= 500)


def queries(browser: Client) -> Iterator[tuple[Any, Any]]:
    for page, its_admin in lists():
        filters = {name for one in its_admin.list_filter for name in lookups_of(one)}
        for name in (*PARAMETERS, *sorted(filters)):
            for value in ODD:
                yield (page, name, value), browser.get(page, {name: value})
        for name in ODD:
            yield (page, name), browser.get(page, {name: "1"})


def forms(browser: Client, key: str) -> Iterator[tuple[Any, Any]]:
    for page, its_admin in lists():
        if not its_admin.actions:
            continue
        for action in (*its_admin.actions, *ODD):
            for keys in ([], *([odd] for odd in ODD), [key] * 1200, [key, "\0"]):
                form = {"action": action, "_selected_action": keys, "confirmed": "yes"}
                yield (page, action, keys[:1]), browser.post(page, form)
            yield (page, action), browser.post(page, {"action": action, "_selected_action": key})
        for odd in ODD:
            for name in ("index", "back", "select_across"):
                form = {"action": its_admin.actions[0], "_selected_action": [key], name: odd}
                yield (page, name, odd), browser.post(page, {**form, "confirmed": "yes"})


def pages(browser: Client) -> Iterator[tuple[Any, Any]]:
    for page, _ in lists():
        for odd in ODD:
            for of_it in ("", "change/", "history/", "delete/"):
                path = f"{page}{quote(odd, safe='')}/{of_it}"
                yield path, browser.get(path)


def test_no_query_breaks_a_list(browser: Client) -> None:
    assert list(failures(queries(browser))) == []


def test_no_form_breaks_a_list(browser: Client, moderator: Person) -> None:
    """The forms name the moderator themselves, whom no action may change."""
    assert list(failures(forms(browser, moderator.id))) == []


def test_a_form_with_an_impossible_key_changes_nothing(browser: Client, bob: Person) -> None:
    form = {"action": "suspend", "_selected_action": [bob.id, "\0"]}
    assert browser.post("/admin/accounts/user/", form).status_code == 400
    assert User.objects.get(pk=bob.user.pk).status == User.Status.ACTIVE


def test_no_path_breaks_a_page(browser: Client) -> None:
    assert list(failures(pages(browser))) == []


def test_no_address_of_a_row_outside_of_the_pages_is_offered(
    browser: Client, moderator: Person
) -> None:
    """Django's own fails for an id that is no UUID."""
    kind = ContentType.objects.get_for_model(User).pk
    for key in ("1", moderator.id):
        assert browser.get(f"/admin/r/{kind}/{key}/").status_code == 404


def test_a_list_that_breaks_is_found(
    browser: Client, moderator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django's own response_action fails."""
    monkeypatch.setattr(ReadOnlyAdmin, "response_action", admin.ModelAdmin.response_action)
    assert next(failures(forms(browser, moderator.id)))
