"""manage.py purge and stats: what was deleted is removed for good, and numbers for the operator."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.tests.people import Person, set_status
from apps.chat.models import Message
from apps.chat.tests.factories import new_message
from apps.posts.models import Post, PostSlug
from apps.posts.services import post_create, post_delete

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _deleted(alice: Person, bob: Person) -> None:
    """Two posts and two messages that were deleted, one of each long ago, and some that were
    not."""
    for title in ("Old", "New", "Kept"):
        post = post_create(alice.user, title=title, content="Thoughts", status="published")
        message = new_message(alice, bob, title)
        if title != "Kept":
            post_delete(alice.user, post_id=post.pk)
            alice.delete(f"/messages/{message.pk}")
    past = timezone.now() - timedelta(days=100)
    Post.objects.filter(title="Old").update(deleted_at=past)
    Message.objects.filter(content="Old").update(deleted_at=past)


def run(command: str, *arguments: str, **options: Any) -> str:
    output = StringIO()
    call_command(command, *arguments, stdout=output, **options)
    return output.getvalue()


def words() -> tuple[set[str], list[str]]:
    posts = set(Post.objects.values_list("title", flat=True))
    return posts, list(Message.objects.order_by("seq").values_list("content", flat=True))


@pytest.mark.usefixtures("_deleted")
def test_purge_removes_for_good_what_was_deleted_long_ago() -> None:
    said = run("purge", ask=False)
    assert "1 deleted posts removed" in said
    assert "1 words of deleted messages removed" in said
    assert words() == ({"New", "Kept"}, ["", "New", "Kept"])
    assert not PostSlug.objects.filter(slug="old").exists()
    assert run("purge").splitlines()[0].startswith("0 deleted posts")


@pytest.mark.usefixtures("_deleted")
def test_purge_asks_first_and_a_dry_run_only_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = words()
    assert "2 deleted posts of 0 days ago or earlier" in run("purge", days=0, dry_run=True)
    with pytest.raises(CommandError, match="--no-input"):
        run("purge")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match="Nothing was changed"):
        run("purge")
    for days in ("-1", "1000000", "x"):
        with pytest.raises(CommandError, match="--days: use a whole number from 0 to 36500"):
            run("purge", f"--days={days}")
    assert words() == before


@pytest.mark.usefixtures("_deleted")
def test_stats_count_by_status(bob: Person) -> None:
    set_status(bob.user, "suspended")
    found = json.loads(run("stats", json=True))
    assert found["users"] == {"active": 1, "suspended": 1}
    assert found["posts"] == {"published": 1, "deleted": 2}
    assert found["sessions"] == {"active": 1, "over": 1}
    assert (found["conversations"], found["messages"]) == (1, 3)
    assert found["events"] > 0
    assert found["database_bytes"] > 0
    assert "users          2 (1 active, 1 suspended)" in run("stats")
