"""Events for tests, logged without the rows that they are about."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.chat.events import MessageReceived
from apps.chat.models import Conversation, Message
from apps.chat.serializers import MessageOutput
from apps.core.ids import uuid7
from apps.posts.events import PostPublished
from apps.posts.models import Post
from apps.posts.serializers import PostListItemOutput
from apps.realtime.event_log import publish
from apps.realtime.models import SocketTimeline


def log_messages(receiver_id: UUID, count: int, content: str = "Ahoy") -> None:
    """Log that many messages to a user, from a sender who does not exist."""
    sender = User(name="Nemo", email="nemo@example.org")
    receiver = User(pk=receiver_id, name="Reader", email="reader@example.org")
    message = Message(sender=sender, content=content, created_at=timezone.now())
    Conversation(first=sender, second=receiver, last_seq=1).number([message])
    event = MessageReceived(to=[receiver_id], message=MessageOutput.dump(message))
    with transaction.atomic():
        publish(*[event] * count)


def log_posts(count: int, tag: str = "sea") -> None:
    """Log that many published posts, of an author who does not exist."""
    now = timezone.now()
    author = User(name="Nemo", email="nemo@example.org")
    post = Post(author=author, title="Ahoy", slug="ahoy", content="Ahoy there", tags=[tag])
    post.published_at = post.created_at = post.updated_at = now
    event = PostPublished(post=PostListItemOutput.dump(post))
    with transaction.atomic():
        publish(*[event] * count)


def new_timeline(user: User) -> SocketTimeline:
    """Return the timeline of a websocket that a user has closed."""
    now = timezone.now()
    return SocketTimeline.objects.create(
        id=uuid7(),
        user=user,
        address="203.0.113.0",
        user_agent="Parley/1",
        opened_at=now,
        closed_at=now,
        code=1000,
        steps=[{"at": "2026-01-01T00:00:00Z", "what": "subscribed", "stream": "feed", "head": 3}],
        sent={"feed": 3},
        written_at=now,
    )
