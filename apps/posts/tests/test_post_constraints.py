"""The constraints of the database on posts, and the indexes of lists."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from apps.accounts.tests.people import Person
from apps.posts.models import Post
from apps.posts.selectors import posts_visible
from apps.posts.tests.factories import draft_of, row

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "change",
    [{"status": "secret"}, {"status": ""}, {"status": "published"}, {"slug": ""}],
    ids=["unknown status", "no status", "published without its time", "empty slug"],
)
def test_the_database_refuses_invalid_posts(alice: Person, change: dict[str, Any]) -> None:
    """Constraints hold even for code that bypasses the services."""
    post = draft_of(alice)
    before = row(post)
    with pytest.raises(IntegrityError), transaction.atomic():
        Post.objects.filter(pk=post.pk).update(**change)
    assert row(post) == before


@pytest.mark.skipif(
    connection.vendor == "postgresql",
    reason="config/tests/test_list_plans.py has many rows for it.",
)
@pytest.mark.parametrize(
    ("own", "index"), [(False, "post_published_newest"), (True, "post_of_author_newest")]
)
def test_lists_use_an_index(alice: Person, own: bool, index: str) -> None:
    """A scan and a sort would make every list slower as posts grow in number."""
    draft_of(alice)
    posts = posts_visible(alice.user, author_id=alice.user.pk if own else None)
    plan = posts[:10].explain()
    assert index in plan
    assert "temp b-tree" not in plan.lower()
