"""Versions of a post: an edit does not overwrite a concurrent edit."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError, OperationalError
from django.db.models import F

from apps.accounts.tests.people import Person
from apps.core.tests.together import together
from apps.posts import services
from apps.posts.errors import PostChanged
from apps.posts.models import Post
from apps.posts.services import post_update
from apps.posts.slugs import claim_other_slug
from apps.posts.tests.factories import draft_of, logged_events, published_by, row
from apps.posts.tests.refusals import require_refused
from apps.posts.tests.test_post_update import BODY

pytestmark = pytest.mark.django_db

STALE = "Post was modified by another user. Please refresh and try again."


def test_a_change_to_a_stale_version_is_refused(alice: Person) -> None:
    """Otherwise the change would overwrite one that its author has not seen."""
    post = draft_of(alice)
    alice.patch(f"/posts/{post.pk}", {"content": "Somebody was faster.", "version": 1})
    before = row(post), logged_events()
    response = alice.patch(f"/posts/{post.pk}", {"title": "Too late", "version": 1})
    assert response.json()["code"] == "CONFLICT"
    require_refused(response, post, before, 409, STALE)


def test_a_change_to_the_current_version_passes(alice: Person) -> None:
    post = draft_of(alice)
    for version in (1, 2, 3):
        response = alice.patch(f"/posts/{post.pk}", {**BODY, "version": version})
        assert response.json()["data"]["version"] == version + 1


def test_a_change_with_a_stale_if_match_is_refused(alice: Person) -> None:
    """Otherwise the change would overwrite one that its author has not seen."""
    post = draft_of(alice)
    etag = alice.get(f"/posts/{post.pk}")["ETag"]
    alice.patch(f"/posts/{post.pk}", {"content": "Somebody was faster."})
    before = row(post), logged_events()
    response = alice.client.patch(f"/api/v1/posts/{post.pk}", BODY, headers={"If-Match": etag})
    assert response.json()["code"] == "PRECONDITION_FAILED"
    message = "This was changed since you read it. Read it again and repeat your change."
    require_refused(response, post, before, 412, message)


def test_the_etag_of_each_answer_is_valid_for_the_next_change(alice: Person) -> None:
    post = draft_of(alice)
    etag = alice.get(f"/posts/{post.pk}")["ETag"]
    for content in ("The first change.", "The second change."):
        response = alice.client.patch(
            f"/api/v1/posts/{post.pk}", {"content": content}, headers={"If-Match": etag}
        )
        assert response.status_code == 200
        etag = response["ETag"]


def test_an_etag_stays_valid_when_views_are_counted(alice: Person) -> None:
    post = published_by(alice)
    etag = alice.get(f"/posts/{post.pk}")["ETag"]
    Post.objects.update(view_count=F("view_count") + 1)
    response = alice.client.patch(f"/api/v1/posts/{post.pk}", BODY, headers={"If-Match": etag})
    assert response.status_code == 200


def test_two_editors_with_versions_do_not_overwrite_each_other(alice: Person) -> None:
    """The version shows that another editor has changed the post since."""
    post = draft_of(alice)
    post_update(alice.user, post_id=post.pk, title="Night ferry", version=1)
    with pytest.raises(PostChanged):
        post_update(alice.user, post_id=post.pk, title="Lost ferry", version=1)
    assert (row(post)["title"], row(post)["version"]) == ("Night ferry", 2)


@pytest.mark.django_db(transaction=True)
def test_one_of_several_concurrent_edits_of_a_version_wins(alice: Person) -> None:
    """The version is checked under the lock of the row."""
    post = draft_of(alice)
    titles = ["Night ferry", "Early ferry", "Last ferry"]

    def retitle(title: str) -> Callable[[], Post]:
        return lambda: post_update(alice.user, post_id=post.pk, title=title, version=1)

    outcomes = together(*map(retitle, titles))
    [winner] = [one for one in outcomes if isinstance(one, Post)]
    assert [type(one) for one in outcomes].count(PostChanged) == 2
    assert (row(post)["title"], row(post)["version"]) == (winner.title, 2)


@pytest.mark.django_db(transaction=True)
def test_concurrent_edits_of_different_fields_are_all_kept(alice: Person) -> None:
    """An update that writes the whole row would undo the others."""
    post = draft_of(alice)
    together(
        lambda: post_update(alice.user, post_id=post.pk, title="Night ferry"),
        lambda: post_update(alice.user, post_id=post.pk, content="It leaves at nine."),
        lambda: post_update(alice.user, post_id=post.pk, tags=["sea"]),
    )
    after = row(post)
    assert (after["title"], after["content"]) == ("Night ferry", "It leaves at nine.")
    assert (after["tags"], after["version"]) == (["sea"], 4)


def test_an_edit_keeps_concurrent_view_counts(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update that writes the whole row would undo the counts."""
    post = published_by(alice)

    def claim_after_views(changed: Post) -> None:
        Post.objects.filter(pk=changed.pk).update(view_count=41)
        claim_other_slug(changed)

    monkeypatch.setattr(services, "claim_other_slug", claim_after_views)
    alice.put(f"/posts/{post.pk}", BODY)
    assert (row(post)["title"], row(post)["view_count"]) == ("Updated Title", 41)


@pytest.mark.parametrize(
    ("error", "status"), [(DatabaseError("relation is gone"), 500), (OperationalError("lost"), 503)]
)
def test_a_broken_database_is_not_reported_as_a_conflict(
    alice: Person, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    """A client would read the post again and retry for nothing."""
    post = draft_of(alice)
    before = row(post), logged_events()

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("apps.posts.services.update_objects", fail)
    response = alice.patch(f"/posts/{post.pk}", {"title": "Night ferry", "version": 1})
    message = response.json()["message"]
    assert str(error) not in message
    require_refused(response, post, before, status, message)
