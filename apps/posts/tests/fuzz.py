"""Facts about posts that the fuzz run cannot find out by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from testing.fuzz.knowledge import Knowledge
from testing.fuzz.people import EACH, People, Person


def _post_of(author: Person, status: str) -> Any:
    return author.post("/posts", title="A title", content="Long enough.", status=status)


def _draft_of(caller: Person, other: Person) -> str:
    return str(_post_of(caller, "draft")["id"])


def _past(people: People) -> Mapping[str, Sequence[str | int]]:
    public, drafts, doomed = (
        [_post_of(author, status) for _ in range(EACH) for author in (people.ann, people.bob)]
        for status in ("published", "draft", "published")
    )
    return {
        "posts": [post["id"] for post in public],
        "slugs": [post["slug"] for post in public],
        "drafts": [post["id"] for post in drafts],
        "doomed_posts": [post["id"] for post in doomed],
        "versions": [1, 2, 3],
    }


KNOWLEDGE = Knowledge(
    real={
        "posts_by_slug": {"path.slug": "slugs"},
        "posts_destroy": {"path.id": "doomed_posts"},
        "posts_list": {"query.authorId": "users"},
        "posts_partial_update": {"path.id": "posts", "body.version": "versions"},
        "posts_publish": {"path.id": "drafts"},
        "posts_retrieve": {"path.id": "posts"},
        "posts_update": {"path.id": "posts", "body.version": "versions"},
    },
    past=_past,
    reasons={
        "Send at least one of title, content, status and tags",
        "A post that was published cannot become a draft again; archive it instead",
        "Post is already published",
    },
    single_use={"posts_destroy", "posts_publish"},
    things={
        "posts_by_slug": lambda caller, other: str(_post_of(caller, "published")["slug"]),
        "posts_destroy": _draft_of,
        "posts_partial_update": _draft_of,
        "posts_publish": _draft_of,
        "posts_retrieve": _draft_of,
        "posts_update": _draft_of,
    },
)
