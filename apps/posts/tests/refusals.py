"""What every refused action on a post must leave unchanged."""

from typing import Any

from apps.posts.models import Post
from apps.posts.tests.factories import logged_events, row


def require_refused(response: Any, post: Post, before: Any, status: int, message: str) -> None:
    """Fail unless the answer is this refusal, and neither the row nor the log has changed."""
    assert (response.status_code, response.json()["message"]) == (status, message)
    assert (row(post), logged_events()) == before
