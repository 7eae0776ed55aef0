"""Example posts for a trial installation."""

from apps.accounts.demo import demo_users
from apps.accounts.models import User
from apps.posts.models import Post
from apps.posts.services import post_create

TOPICS = (
    ("Why we moved to one process", "Fewer parts fail less often, and each failure says its name."),
    ("Notes on reading a log", "An event that has a number can be asked for again. That is all."),
    ("A bridge over a quiet river", "We walked there twice before anybody spoke of the weather."),
    ("Bread, and what it teaches", "Wait longer than you think, and heat it more than you dare."),
    ("Five small tools", "None of them is clever, and I would not want to work without one."),
)
STATUSES = ("published", "published", "published", "draft", "published")


def demo() -> str:
    """Write some posts for each demo user who has none, and return a sentence with their number."""
    posts = sum(_posts_of(user, number) for number, user in enumerate(demo_users(), 1))
    return f"Added {posts} posts."


def _posts_of(author: User, number: int) -> int:
    if Post.objects.filter(author=author).exists():
        return 0
    for (title, content), status in zip(TOPICS, STATUSES, strict=True):
        post_create(
            author,
            title=f"{title}, part {number}",
            content=content,
            status=status,
            tags=["demo", author.name.lower()],
        )
    return len(TOPICS)
