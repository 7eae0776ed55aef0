"""What a list of the admin's pages may be asked for: what its filters show, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.core.admin import ReadOnlyAdmin
from apps.posts.models import Post
from apps.posts.services import post_create
from config.tests.test_admin import pages_of

pytestmark = pytest.mark.django_db

# Of everything that Django makes of a query, one of each kind: equality, patterns, order, absence.
QUESTIONS = ("", "__exact", "__regex", "__startswith", "__gte", "__in", "__isnull")


def columns(model: type[Model], depth: int = 1) -> Iterator[str]:
    """Return the columns of a model and, over relations in both directions, of its relatives."""
    for field in model._meta.get_fields():
        name = field.name
        yield name
        if field.is_relation and field.related_model and depth:
            related: Any = field.related_model
            yield from (f"{name}__{column}" for column in columns(related, depth - 1))


def filters(model_admin: Any) -> set[str]:
    """Return the lookups that the links of a list's own filters make."""
    return {
        f"{column}{question}"
        for column in model_admin.list_filter
        for question in ("", "__exact", "__isnull")
    }


def questions_answered(browser: Client, model: type[Model]) -> set[str]:
    """Return every question that a list answers and its filters don't ask."""
    asked = filters(admin.site._registry[model])
    return {
        lookup
        for lookup in (f"{column}{how}" for column in columns(model) for how in QUESTIONS)
        if lookup not in asked and _ask(browser, model, lookup).status_code != 400
    }


def _ask(browser: Client, model: type[Model], lookup: str, value: str = "1") -> Any:
    page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    return browser.get(page, {lookup: value})


@pytest.fixture
def browser(moderator: Person, bob: Person) -> Client:
    """The browser of a moderator, with something in each list."""
    post_create(bob.user, title="A title", content="Long enough to be one")
    return pages_of(moderator)


def test_a_list_answers_no_question_that_its_filters_do_not_ask(browser: Client) -> None:
    answered = {model: questions_answered(browser, model) for model in admin.site._registry}
    assert {User, Post} <= answered.keys()
    assert not any(answered.values()), answered


def test_the_walk_reaches_what_must_not_be_read() -> None:
    assert {"password", "sessions__refresh_jti"} <= set(columns(User))
    assert "author__password" in set(columns(Post))


def test_the_walk_finds_a_list_that_answers(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of Django's own ModelAdmin does."""
    monkeypatch.setattr(ReadOnlyAdmin, "lookup_allowed", admin.ModelAdmin.lookup_allowed)
    assert {"password__regex", "password__startswith"} <= questions_answered(browser, User)


def test_a_hash_shows_in_no_answer(browser: Client, bob: Person) -> None:
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


def test_groups_which_mean_nothing_here_have_no_page(browser: Client) -> None:
    assert browser.get("/admin/auth/group/").status_code == 404


def test_a_person_is_found_by_nothing_that_is_not_shown(browser: Client, bob: Person) -> None:
    """A page of one person takes another column than the key only if a relation refers to it."""
    email = f"/admin/accounts/user/{bob.user.email}/change/?_to_field=email"
    assert browser.get(email).status_code == 400
    assert browser.get("/admin/accounts/user/?_to_field=password").status_code == 400
