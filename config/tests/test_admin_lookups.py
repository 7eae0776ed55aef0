"""A list of the admin's pages answers the lookups of its filters and no others."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.test import Client

from apps.accounts.models import Session, User
from apps.accounts.tests.people import Person, person
from apps.core.admin import ReadOnlyAdmin, lookups_of
from apps.posts.models import Post
from apps.posts.services import post_create
from config.tests.test_admin import pages_of

pytestmark = pytest.mark.django_db

# One lookup of each kind that Django has: equality, patterns, order, absence.
LOOKUPS = ("", "__exact", "__regex", "__startswith", "__gte", "__in", "__isnull")


def columns(model: type[Model], depth: int = 1) -> Iterator[str]:
    """Return the columns of a model and, over relations in both directions, of its neighbours."""
    for field in model._meta.get_fields():
        name = field.name
        yield name
        if field.is_relation and field.related_model and depth:
            related: Any = field.related_model
            yield from (f"{name}__{column}" for column in columns(related, depth - 1))


def filters(model_admin: Any) -> set[str]:
    """Return the lookups in the links of a list's filters."""
    return {lookup for one in model_admin.list_filter for lookup in lookups_of(one)}


def other_lookups_answered(browser: Client, model: type[Model], depth: int = 1) -> set[str]:
    """Return every lookup that a list answers although its filters do not make it."""
    own = filters(admin.site._registry[model])
    return {
        lookup
        for lookup in (f"{column}{how}" for column in columns(model, depth) for how in LOOKUPS)
        if lookup not in own and _ask(browser, model, lookup).status_code != 400
    }


def _ask(browser: Client, model: type[Model], lookup: str, value: str = "1") -> Any:
    page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    return browser.get(page, {lookup: value})


@pytest.fixture
def browser(bob: Person) -> Client:
    """The browser of an administrator, who may open each list, with a row in each."""
    post_create(bob.user, title="A title", content="Long enough to be one")
    return pages_of(person("Ada", User.Role.ADMIN))


def test_a_list_answers_no_lookups_but_those_of_its_filters(browser: Client) -> None:
    answered = {model: other_lookups_answered(browser, model) for model in admin.site._registry}
    assert {User, Session, Post, LogEntry} <= answered.keys()
    assert not any(answered.values()), answered


def test_the_search_reaches_secret_columns() -> None:
    assert {"password", "sessions__refresh_jti"} <= set(columns(User))
    assert "author__password" in set(columns(Post))


def test_a_list_that_answers_other_lookups_is_found(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of Django's own ModelAdmin does."""
    monkeypatch.setattr(ReadOnlyAdmin, "lookup_allowed", admin.ModelAdmin.lookup_allowed)
    found = other_lookups_answered(browser, User, depth=0)
    assert {"password__regex", "password__startswith"} <= found


def test_a_password_hash_cannot_be_guessed_by_lookups(browser: Client, bob: Person) -> None:
    stored = User.objects.get(pk=bob.user.pk).password
    for lookup in ("password__startswith", "password", "sessions__user__password__startswith"):
        for guess in (stored[:5], "never"):
            refused = _ask(browser, User, lookup, guess)
            assert refused.status_code == 400
            assert "Bob" not in refused.text
            assert stored not in refused.text


def test_the_filters_of_a_list_work(browser: Client, bob: Person) -> None:
    for lookup in ("role__exact", "role"):
        assert "bob@example.com" in _ask(browser, User, lookup, "user").text
        assert "bob@example.com" not in _ask(browser, User, lookup, "admin").text
    page = _ask(browser, User, "role__exact", "user").text
    assert "?role__exact=moderator" in page


def test_groups_have_no_page(browser: Client) -> None:
    assert browser.get("/admin/auth/group/").status_code == 404


def test_a_user_is_found_by_no_hidden_column(browser: Client, bob: Person) -> None:
    """Django finds a row by another column than the key if a relation refers to that column."""
    email = f"/admin/accounts/user/{bob.user.email}/change/?_to_field=email"
    assert browser.get(email).status_code == 400
    assert browser.get("/admin/accounts/user/?_to_field=password").status_code == 400
