"""Restoring a deleted post."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from apps.accounts.tests.people import Person
from apps.posts.errors import PostNotFound
from apps.posts.services import post_delete, post_restore
from apps.posts.tests.factories import archived_by, draft_of, logged_events, published_by, row
from apps.realtime.models import LoggedEvent
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


def logged_data() -> list[dict[str, Any]]:
    """Return what the feed says of posts, but for their versions and times of change."""
    data = LoggedEvent.objects.order_by("stream", "seq").values_list("data", flat=True)
    return [{**one["post"], "version": 0, "updatedAt": None} for one in data]


@pytest.mark.parametrize("make", [published_by, draft_of, archived_by])
def test_a_restored_post_is_what_it_was(alice: Person, moderator: Person, make: Any) -> None:
    post = make(alice)
    before = row(post), logged_data()
    post_delete(moderator.user, post_id=post.pk)
    post_restore(moderator.user, post_id=post.pk)
    after = row(post), logged_data()
    for state in (before[0], after[0]):
        assert state.pop("version")
        assert state.pop("updated_at")
    assert after == before
    assert row(post)["version"] == post.version + 2


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_only_moderators_restore(
    request: pytest.FixtureRequest, alice: Person, bob: Person, who: str
) -> None:
    post = published_by(alice)
    post_delete(alice.user, post_id=post.pk)
    before = row(post), logged_events()
    with pytest.raises(PostNotFound):
        post_restore(request.getfixturevalue(who).user, post_id=post.pk)
    assert (row(post), logged_events()) == before
    assert not LogEntry.objects.exists()


def test_a_post_that_is_not_deleted_cannot_be_restored(alice: Person, moderator: Person) -> None:
    post = published_by(alice)
    before = row(post)
    with pytest.raises(PostNotFound):
        post_restore(moderator.user, post_id=post.pk)
    assert row(post) == before


def test_what_was_kept_of_a_restored_post_is_dropped(
    alice: Person, moderator: Person, anonymous: ContractClient
) -> None:
    post = published_by(alice)
    path = f"/api/v1/posts/{post.pk}"
    post_delete(moderator.user, post_id=post.pk)
    assert anonymous.get(path).status_code == 404
    post_restore(moderator.user, post_id=post.pk)
    assert anonymous.get(path).status_code == 200


def test_a_deletion_leaves_a_trace_if_a_moderator_made_it(alice: Person, moderator: Person) -> None:
    own, others = published_by(alice), published_by(alice)
    alice.delete(f"/posts/{own.pk}")
    moderator.delete(f"/posts/{others.pk}")
    entry = LogEntry.objects.get()
    assert (entry.user_id, entry.object_id) == (moderator.user.pk, str(others.pk))
    assert entry.change_message == "status: published → deleted"
