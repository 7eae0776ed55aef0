"""Deleting a post."""

import json
from typing import Any

import pytest

from apps.accounts.models import User
from apps.accounts.tests.people import Person, person
from apps.core.models import IdempotencyKey
from apps.posts.models import PostSlug
from apps.posts.services import post_create, post_delete, post_update
from apps.posts.tests.factories import archived_by, draft_of, logged_events, published_by, row
from apps.posts.tests.refusals import require_refused
from apps.realtime.models import LoggedEvent
from testing.client import ContractClient

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("who", ["alice", "moderator"])
def test_author_and_moderator_delete_a_post(
    request: pytest.FixtureRequest, alice: Person, who: str
) -> None:
    post = published_by(alice)
    response = request.getfixturevalue(who).delete(f"/posts/{post.pk}")
    assert response.status_code == 200
    assert response.json()["message"] == "Post deleted successfully"
    assert "data" not in response.json()
    assert row(post)["deleted_at"] is not None


def test_administrator_deletes_a_post(alice: Person) -> None:
    post = draft_of(alice)
    assert person("Ada", User.Role.ADMIN).delete(f"/posts/{post.pk}").status_code == 200


def test_other_user_cannot_delete_a_post(alice: Person, bob: Person) -> None:
    post = published_by(alice)
    before = row(post), logged_events()
    response = bob.delete(f"/posts/{post.pk}")
    assert response.json()["code"] == "FORBIDDEN"
    require_refused(response, post, before, 403, "You can only delete your own posts")


@pytest.mark.parametrize("make", [draft_of, archived_by])
def test_other_user_cannot_find_a_hidden_post_to_delete(
    alice: Person, bob: Person, make: Any
) -> None:
    """A 403 would reveal that the post exists."""
    post = make(alice)
    before = row(post), logged_events()
    require_refused(bob.delete(f"/posts/{post.pk}"), post, before, 404, "Post not found")


def test_anonymous_user_cannot_delete(alice: Person, anonymous: ContractClient) -> None:
    post = published_by(alice)
    before = row(post), logged_events()
    response = anonymous.delete(f"/api/v1/posts/{post.pk}")
    require_refused(response, post, before, 401, "Authentication is required")


def test_a_delete_with_a_stale_if_match_is_refused(alice: Person) -> None:
    post = draft_of(alice)
    etag = alice.get(f"/posts/{post.pk}")["ETag"]
    post_update(alice.user, post_id=post.pk, content="Changed since that was read.")
    before = row(post), logged_events()
    response = alice.client.delete(f"/api/v1/posts/{post.pk}", headers={"If-Match": etag})
    message = "This was changed since you read it. Read it again and repeat your change."
    require_refused(response, post, before, 412, message)


def test_a_deleted_post_keeps_its_row_and_its_slugs(alice: Person) -> None:
    post = published_by(alice)
    post_update(alice.user, post_id=post.pk, title="Night ferry")
    post_delete(alice.user, post_id=post.pk)
    assert row(post)["title"] == "Night ferry"
    assert set(PostSlug.objects.values_list("slug", "post")) == {
        ("harbour-lights", post.pk),
        ("night-ferry", post.pk),
    }


@pytest.mark.parametrize("who", ["alice", "bob", "moderator"])
def test_nobody_can_read_a_deleted_post(
    request: pytest.FixtureRequest, alice: Person, who: str
) -> None:
    """No old slug and no cache may still lead to the post."""
    post = published_by(alice)
    post_update(alice.user, post_id=post.pk, title="Night ferry")
    reader = request.getfixturevalue(who)
    paths = [f"/posts/{post.pk}", "/posts/slug/harbour-lights", "/posts/slug/night-ferry"]
    assert [reader.get(path).status_code for path in paths] == [200] * 3
    alice.delete(f"/posts/{post.pk}")
    assert [reader.get(path).status_code for path in paths] == [404] * 3


@pytest.mark.parametrize("who", ["alice", "moderator"])
def test_a_deleted_post_cannot_be_deleted_or_published_again(
    request: pytest.FixtureRequest, alice: Person, who: str
) -> None:
    post = draft_of(alice)
    post_delete(alice.user, post_id=post.pk)
    before = row(post), logged_events()
    again = request.getfixturevalue(who)
    require_refused(again.delete(f"/posts/{post.pk}"), post, before, 404, "Post not found")
    require_refused(again.post(f"/posts/{post.pk}/publish"), post, before, 404, "Post not found")


def test_a_deleted_post_is_redacted_in_the_log(alice: Person) -> None:
    post = post_create(
        alice.user,
        title="Zebra crossing",
        content="Xylophone players welcome.",
        status="published",
        tags=["quartz"],
    )
    [event] = LoggedEvent.objects.all()
    assert "Xylophone" in json.dumps(event.data)
    post_delete(alice.user, post_id=post.pk)
    [event] = LoggedEvent.objects.all()
    left = json.dumps(event.data).lower()
    assert [word for word in ("zebra", "xylophone", "quartz") if word in left] == []
    assert event.data["post"]["id"] == str(post.pk)


def test_other_posts_are_not_redacted_in_the_log(alice: Person) -> None:
    kept, gone = published_by(alice, "Night ferry"), published_by(alice, "Harbour lights")
    before = LoggedEvent.objects.get(subject=kept.pk).data
    post_delete(alice.user, post_id=gone.pk)
    assert LoggedEvent.objects.get(subject=kept.pk).data == before


@pytest.mark.parametrize("who", ["alice", "moderator"])
def test_a_kept_answer_of_a_deleted_post_is_redacted(
    request: pytest.FixtureRequest, alice: Person, who: str
) -> None:
    body = {"title": "Xylophone", "content": "All of Xylophone.", "tags": ["xylophone"]}
    create, publish = ({"Idempotency-Key": name} for name in ("create", "publish"))
    first = alice.post("/posts", body, **create).json()["data"]
    alice.post(f"/posts/{first['id']}/publish", **publish)
    request.getfixturevalue(who).delete(f"/posts/{first['id']}")
    again = alice.post("/posts", body, **create)
    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
    without = {"title": "", "slug": "", "content": "", "tags": []}
    assert again.json()["data"] == {**first, **without}
    published = alice.post(f"/posts/{first['id']}/publish", **publish)
    assert published["Idempotent-Replayed"] == "true"
    kept = json.dumps(list(IdempotencyKey.objects.values_list("body", flat=True)))
    assert "xylophone" not in kept.lower()


def test_a_kept_answer_does_not_change_with_an_edit(alice: Person) -> None:
    """The kept answer shows its author what they wrote first, and only they can get it."""
    body, key = {"title": "Harbour", "content": "Some content."}, {"Idempotency-Key": "create"}
    first = alice.post("/posts", body, **key).json()["data"]
    alice.patch(f"/posts/{first['id']}", {"title": "Low tide"})
    assert alice.post("/posts", body, **key).json()["data"] == first
