"""Querysets that are compiled once: their results are the ORM's, however they run."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections
from django.db.models import BigIntegerField, CharField, DateTimeField, UUIDField
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Session, User
from apps.accounts.tests.people import Person
from apps.core.db.prepared import Hole, OneOf, Prepared
from apps.core.db.sql import SqlText
from apps.core.ids import uuid7
from apps.posts.models import Post

pytestmark = pytest.mark.django_db
on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite prepares nothing in its server"
)

ODD: list[dict[str, Any]] = [
    {"title": "Ahoy 🚢 100%", "content": "x" * 100_000, "tags": ["ä", '"', "%s"]},
    {"status": "published", "published_at": timezone.now(), "view_count": 2**40},
    {"created_at": timezone.now().replace(microsecond=0), "tags": [], "deleted_at": timezone.now()},
]


def posts_of(author: Person) -> list[Post]:
    """Return one new post of each odd kind."""
    return Post.objects.bulk_create(
        Post(author=author.user, slug=str(uuid7()), **{"title": "T", "content": "C", **odd})
        for odd in ODD
    )


def fields_of(row: Any) -> dict[str, Any]:
    """Return what an object holds, with the objects that it refers to."""
    held = {name: value for name, value in vars(row).items() if name != "_state"}
    related = {name: fields_of(one) for name, one in row._state.fields_cache.items()}
    return {**held, **related, "stored": (row._state.db, row._state.adding)}


BY_IDS = Prepared(lambda: Post.objects.filter(OneOf("pk", "ids", UUIDField())).order_by("pk"))
TITLES = Prepared(
    lambda: Post.objects.filter(OneOf("pk", "ids", UUIDField()), status="published").values_list(
        "pk", "title"
    )
)


def test_objects_are_those_of_the_orm(alice: Person) -> None:
    posts_of(alice)
    shown = Post.objects.select_related("author").annotate(
        shout=SqlText("upper({title})", CharField(), title="title")
    )
    found = Prepared(lambda: shown.filter(author=Hole("author", UUIDField()))).all(
        author=alice.user.pk
    )
    expected = list(shown.filter(author=alice.user.pk))
    assert [fields_of(one) for one in found] == [fields_of(one) for one in expected]
    assert len(found) == len(ODD)


def test_what_a_statement_has_written_are_the_objects_of_the_orm(alice: Person) -> None:
    posts_of(alice)
    renamed = BY_IDS.written("UPDATE posts_post SET title = %s WHERE view_count > %s", ["R", 0])
    expected = list(Post.objects.filter(title="R"))
    assert [fields_of(one) for one in renamed] == [fields_of(one) for one in expected]
    assert len(expected) == 1


def test_tuples_are_those_of_the_orm(alice: Person) -> None:
    posts = posts_of(alice)
    names = [field.attname for field in Post._meta.concrete_fields]
    rows = Post.objects.values_list(*names, "author__name", "author__created_at")
    prepared = Prepared(lambda: rows.filter(OneOf("pk", "ids", UUIDField())).order_by("pk"))
    ids = [post.pk for post in posts]
    found, expected = prepared.all(ids=ids), list(rows.filter(pk__in=ids).order_by("pk"))
    assert found == expected
    types = [[type(value) for value in row] for row in expected]
    assert [[type(value) for value in row] for row in found] == types


def test_one_statement_serves_any_number_of_values(alice: Person) -> None:
    ids = [post.pk for post in posts_of(alice)]
    for some in ([], ids[:1], ids):
        with CaptureQueriesContext(connection) as captured:
            assert [post.pk for post in BY_IDS.all(ids=some)] == some
        assert len(captured) == 1


def test_text_is_matched_as_it_is(alice: Person) -> None:
    titles = [post.title for post in posts_of(alice)[:1]]
    prepared = Prepared(lambda: Post.objects.filter(OneOf("title", "titles", CharField())))
    assert len(prepared.all(titles=titles)) == 1
    assert prepared.all(titles=["Ahoy", '{"', "%s"]) == []


def test_times_are_compared_as_times(alice: Person) -> None:
    later = Prepared(lambda: Session.objects.filter(expires_at__gt=Hole("now", DateTimeField())))
    assert later.first(now=timezone.now()) is not None
    assert later.first(now=timezone.now() + timedelta(days=999)) is None


def test_a_statement_is_seen_by_wrappers(alice: Person) -> None:
    def refuse(*_: Any) -> None:
        raise DatabaseError("refused")

    with connection.execute_wrapper(refuse), pytest.raises(DatabaseError, match="refused"):
        BY_IDS.all(ids=[])


def test_an_error_of_the_database_is_one_of_django(alice: Person) -> None:
    number = BigIntegerField()
    size = SqlText("abs({of})", number, of=Hole("of", number))
    prepared = Prepared(lambda: User.objects.annotate(size=size))
    assert prepared.all(of=-3)[0].size == 3
    with pytest.raises(DatabaseError):
        prepared.all(of=-(2**63))


def test_a_missing_value_is_named(alice: Person) -> None:
    with pytest.raises(KeyError, match="ids"):
        BY_IDS.all()


def test_a_queryset_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="values_list"):
        Prepared(lambda: User.objects.values("name")).all()


def prepared_statements() -> list[str]:
    """Return what this connection has prepared."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


@on_postgresql
def test_the_server_prepares_a_statement_once_and_knows_its_constants(alice: Person) -> None:
    for ids in ([uuid7()], [uuid7(), uuid7()]):
        TITLES.all(ids=ids)
    [statement] = [one for one in prepared_statements() if "posts_post" in one]
    assert "= 'published'" in statement
    assert "= ANY($1)" in statement


@on_postgresql
def test_nothing_is_prepared_where_the_setting_forbids_it(alice: Person) -> None:
    connection.ensure_connection()
    allowed, connection.connection.prepare_threshold = connection.connection.prepare_threshold, None
    try:
        assert TITLES.all(ids=[uuid7()]) == []
        assert not [one for one in prepared_statements() if "posts_post" in one]
    finally:
        connection.connection.prepare_threshold = allowed


@contextmanager
def longer_titles() -> Iterator[None]:
    """Change the type of a column as a migration of another process does."""
    other = connections.create_connection("default")
    alter = "ALTER TABLE posts_post ALTER COLUMN title TYPE varchar({})"
    try:
        with other.cursor() as cursor:
            cursor.execute(alter.format(300))
            yield
            connection.close()
            cursor.execute(alter.format(255))
    finally:
        other.close()


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_migration_does_not_break_what_is_prepared(alice: Person) -> None:
    [post, *_] = posts_of(alice)
    Post.objects.filter(pk=post.pk).update(status="published", published_at=timezone.now())
    assert TITLES.all(ids=[post.pk]) == [(post.pk, post.title)]
    with longer_titles():
        assert TITLES.all(ids=[post.pk]) == [(post.pk, post.title)]
