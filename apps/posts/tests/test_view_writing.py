"""Views gather in a process and are written together."""

from collections.abc import Callable

import pytest

from apps.accounts.tests.people import Person
from apps.core.tests.together import together
from apps.posts import view_counts
from apps.posts.models import Post, PostView
from apps.posts.tests.factories import published_by, row
from apps.posts.tests.test_view_count import BROWSER
from apps.posts.view_counts import ViewCounter, ViewKey
from testing.server import ServerProcess, until

pytestmark = pytest.mark.django_db


def test_two_processes_count_one_viewer_once(
    alice: Person, bob: Person, counter: ViewCounter
) -> None:
    post = published_by(alice)
    for process in (counter, ViewCounter()):
        process.record(post, bob.user, "192.0.2.7", BROWSER)
        process.flush()
    assert row(post)["view_count"] == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_processes_count_each_viewer_once(
    alice: Person, bob: Person, carol: Person
) -> None:
    """The unique constraint decides which process counts a view."""
    posts = [published_by(alice, f"Harbour lights {n}") for n in range(3)]
    processes = [ViewCounter() for _ in range(4)]
    for process in processes:
        for post in posts:
            for viewer in (bob.user, carol.user):
                process.record(post, viewer, "192.0.2.7", BROWSER)
    assert together(*[process.flush for process in processes]) == [None] * 4
    assert [row(post)["view_count"] for post in posts] == [2, 2, 2]
    assert PostView.objects.count() == 6


def test_views_are_written_later_after_a_failure(
    alice: Person, bob: Person, counter: ViewCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage of the database must lose no views."""
    post = published_by(alice)

    def fail(views: list[ViewKey]) -> None:
        raise OSError("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(view_counts, "views_save", fail)
        bob.get(f"/posts/{post.pk}")
        counter.flush()
    assert row(post)["view_count"] == 0
    counter.flush()
    assert row(post)["view_count"] == 1


def test_views_are_written_in_batches_and_only_failed_batches_are_repeated(
    alice: Person, counter: ViewCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage, one statement for all pending views could be too large at each try."""
    monkeypatch.setattr(view_counts, "BATCH", 2, raising=False)
    post, save, batches = published_by(alice), view_counts.views_save, list[int]()

    def fail_at_third(views: list[ViewKey]) -> None:
        batches.append(len(views))
        if len(batches) == 3:
            raise OSError("the database is away")
        save(views)

    monkeypatch.setattr(view_counts, "views_save", fail_at_third)
    for number in range(7):
        counter.record(post, None, f"192.0.2.{number}", BROWSER)
    counter.flush()
    assert row(post)["view_count"] == 4
    counter.flush()
    assert row(post)["view_count"] == 7
    assert batches == [2, 2, 2, 2, 1]


def test_the_number_of_pending_views_is_limited(
    alice: Person, counter: ViewCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_counts, "MOST_PENDING", 3, raising=False)
    post = published_by(alice)
    for number in range(9):
        counter.record(post, None, f"192.0.2.{number}", BROWSER)
    counter.flush()
    assert row(post)["view_count"] == 3


def test_views_of_a_removed_post_do_not_block_others(
    alice: Person, bob: Person, counter: ViewCounter
) -> None:
    kept, removed = published_by(alice), published_by(alice)
    for post in (kept, removed):
        bob.get(f"/posts/{post.pk}")
    Post.objects.filter(pk=removed.pk).delete()
    counter.flush()
    assert row(kept)["view_count"] == 1
    assert PostView.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_timer_writes_views(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_counts, "FLUSH_SECONDS", 0.01)
    post = published_by(alice)
    bob.get(f"/posts/{post.pk}")
    until(lambda: row(post)["view_count"] == 1)


@pytest.mark.django_db(transaction=True)
def test_the_timer_repeats_a_failed_write(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage of the database must lose no views."""
    monkeypatch.setattr(view_counts, "FLUSH_SECONDS", 0.01)
    tries: list[int] = []
    save = view_counts.views_save

    def fail_at_first(views: list[ViewKey]) -> None:
        tries.append(len(views))
        if len(tries) == 1:
            raise OSError("the database is away")
        save(views)

    monkeypatch.setattr(view_counts, "views_save", fail_at_first)
    post = published_by(alice)
    bob.get(f"/posts/{post.pk}")
    until(lambda: row(post)["view_count"] == 1)
    assert tries == [1, 1]


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_a_server_that_stops_loses_no_view(
    alice: Person, start_server: Callable[..., ServerProcess]
) -> None:
    """Pending views are written before the process ends."""
    post = published_by(alice)
    server = start_server()
    response = server.call("GET", f"/api/v1/posts/{post.pk}", headers={"User-Agent": BROWSER})
    assert response.status_code == 200
    server.stop()
    assert row(post)["view_count"] == 1
