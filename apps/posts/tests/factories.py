"""Posts for tests, created through the services."""

from typing import Any

from apps.accounts.tests.people import Person
from apps.posts.models import Post
from apps.posts.services import post_create, post_update
from apps.realtime.models import LoggedEvent

CONTENT = "The lighthouse keeper counts the boats as they come home."


def draft_of(person: Person, title: str = "Harbour lights", content: str = CONTENT) -> Post:
    """Return a draft."""
    return post_create(person.user, title=title, content=content)


def published_by(person: Person, title: str = "Harbour lights", content: str = CONTENT) -> Post:
    """Return a post that was created as published."""
    return post_create(person.user, title=title, content=content, status="published")


def archived_by(person: Person, title: str = "Harbour lights") -> Post:
    """Return a post that was published and then archived."""
    post = published_by(person, title)
    return post_update(person.user, post_id=post.pk, status="archived")


def post_of(person: Person, status: str, title: str = "Harbour lights") -> Post:
    """Return a post in that status."""
    makers = {"draft": draft_of, "published": published_by, "archived": archived_by}
    return makers[status](person, title)


def row(post: Post) -> dict[str, Any]:
    """Return the present row of a post in the database."""
    return dict(Post.objects.filter(pk=post.pk).values().get())


def logged_events() -> list[tuple[str, str]]:
    """Return the stream and the type of every logged event."""
    return list(LoggedEvent.objects.order_by("stream", "seq").values_list("stream", "type"))
