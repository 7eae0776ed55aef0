"""View counts: which reads of a post count."""

import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.tests.people import Person
from apps.posts import view_counts
from apps.posts.models import Post, PostView
from apps.posts.services import post_update
from apps.posts.tests.factories import archived_by, draft_of, published_by, row
from apps.posts.view_counts import ViewCounter, views_prune
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


@pytest.fixture
def view(counter: ViewCounter) -> Callable[..., int]:
    """A function that reads a post, writes the pending views and returns the view count."""

    def view(client: ContractClient, post: Post, *, by: str = "pk", **more: Any) -> int:
        path = f"slug/{post.slug}" if by == "slug" else post.pk
        headers = {"User-Agent": BROWSER, **more.pop("headers", {})}
        client.get(f"/api/v1/posts/{path}", headers=headers, **more)
        counter.flush()
        return int(row(post)["view_count"])

    return view


@pytest.mark.parametrize("by", ["pk", "slug"])
def test_a_read_counts_as_a_view(
    alice: Person, anonymous: ContractClient, view: Callable[..., int], by: str
) -> None:
    assert view(anonymous, published_by(alice), by=by) == 1


def test_a_view_shows_in_the_next_answer(
    alice: Person, bob: Person, anonymous: ContractClient, view: Callable[..., int]
) -> None:
    """A cached answer would keep the old count."""
    post = published_by(alice)
    view(bob.client, post)
    assert anonymous.get(f"/api/v1/posts/{post.pk}").json()["data"]["viewCount"] == 1
    assert anonymous.get("/api/v1/posts").json()["data"][0]["viewCount"] == 1


def test_a_conditional_read_counts_as_a_view(
    alice: Person, bob: Person, anonymous: ContractClient, view: Callable[..., int]
) -> None:
    """An answer of 304 is a view as well."""
    post = published_by(alice)
    etag = anonymous.get(f"/api/v1/posts/{post.pk}", headers={"User-Agent": "googlebot"})["ETag"]
    assert view(bob.client, post, headers={"If-None-Match": etag}) == 1


def test_views_by_the_author_do_not_count(alice: Person, view: Callable[..., int]) -> None:
    """Authors must not raise the counts of their own posts."""
    post = published_by(alice)
    assert view(alice.client, post) == 0
    assert view(alice.another_device().client, post, by="slug") == 0


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Baiduspider/2.0",
        "facebookexternalhit/1.1 LinkPreview",
        "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/140.0",
        "Some Crawler",
    ],
)
def test_views_by_bots_do_not_count(
    alice: Person, anonymous: ContractClient, view: Callable[..., int], user_agent: str
) -> None:
    """A view is a read by a user, and crawlers would make new posts look popular."""
    assert view(anonymous, published_by(alice), headers={"User-Agent": user_agent}) == 0


@pytest.mark.parametrize("make", [draft_of, archived_by])
def test_views_of_hidden_posts_do_not_count(
    alice: Person, moderator: Person, view: Callable[..., int], make: Callable[[Person], Post]
) -> None:
    assert view(moderator.client, make(alice)) == 0


def test_one_viewer_counts_once_on_all_devices(
    alice: Person, bob: Person, view: Callable[..., int]
) -> None:
    """Reloading a post must not raise its count."""
    post = published_by(alice)
    devices = [bob, bob.another_device(), bob]
    assert [view(device.client, post) for device in devices] == [1, 1, 1]


def test_anonymous_user_counts_once_per_network(
    alice: Person, anonymous: ContractClient, view: Callable[..., int]
) -> None:
    """A client could choose another address of its network for each request."""
    post = published_by(alice)
    addresses = [
        "192.0.2.1",
        "192.0.2.1",
        "::ffff:192.0.2.1",
        "192.0.2.7",
        "2001:db8::1",
        "2001:db8::2",
    ]
    assert [view(anonymous, post, REMOTE_ADDR=each) for each in addresses] == [1, 1, 1, 2, 3, 3]


def test_forty_browsers_of_one_network_are_one_view(
    alice: Person, anonymous: ContractClient, view: Callable[..., int]
) -> None:
    post = published_by(alice)
    for number in range(40):
        headers = {"User-Agent": f"Browser {number}", "Accept-Language": f"x-{number}"}
        assert view(anonymous, post, headers=headers) == 1


def test_each_viewer_counts(
    alice: Person, bob: Person, carol: Person, anonymous: ContractClient, view: Callable[..., int]
) -> None:
    post = published_by(alice)
    assert [view(client, post) for client in (bob.client, carol.client, anonymous)] == [1, 2, 3]


def test_each_post_counts_its_own(alice: Person, bob: Person, view: Callable[..., int]) -> None:
    one, other = published_by(alice), published_by(alice)
    view(bob.client, one)
    assert view(bob.client, other) == 1
    assert row(one)["view_count"] == 1


def test_a_viewer_counts_again_in_the_next_hour(
    alice: Person, bob: Person, view: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    post = published_by(alice)
    now = time.time()
    counts = []
    for later in (0, 3600):
        clock = SimpleNamespace(time=lambda later=later: now + later)
        monkeypatch.setattr(view_counts, "time", clock)
        counts.append(view(bob.client, post))
    assert counts == [1, 2]


def test_a_view_does_not_change_the_post(
    alice: Person, bob: Person, view: Callable[..., int]
) -> None:
    """A view must not make the version of an editor stale."""
    post = published_by(alice)
    before = row(post)
    view(bob.client, post)
    assert row(post) == {**before, "view_count": 1}
    changed = post_update(alice.user, post_id=post.pk, title="Night ferry", version=1)
    assert changed.view_count == 1


def test_views_of_past_hours_are_pruned(
    alice: Person, bob: Person, carol: Person, view: Callable[..., int]
) -> None:
    post = published_by(alice)
    view(bob.client, post)
    PostView.objects.update(hour=timezone.now() - timedelta(hours=3))
    view(carol.client, post)
    assert views_prune() == 1
    assert PostView.objects.get().viewer == carol.id
    assert row(post)["view_count"] == 2
