"""Each shape, a plain function on a hot path, is what its serializer shows: the same fields in the
same order, since OpenAPI is made from the serializer."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.accounts.serializers import ProfileOutput, UserOutput
from apps.chat.models import Conversation, Membership, Message
from apps.chat.selectors import ConversationSummary
from apps.chat.serializers import ConversationOutput, MessageOutput
from apps.core.http.envelope import dumps
from apps.core.serializers import CamelSerializer
from apps.posts.models import Post
from apps.posts.serializers import PostListItemOutput, PostOutput
from apps.realtime.poll_serializers import EventsOutput, StreamEventsOutput
from apps.realtime.presence import Seen

NUMBERS = st.integers(0, 2**53)
MOMENTS = st.datetimes(timezones=st.just(UTC))
LONG = st.text() | st.text(min_size=195, max_size=205) | st.just("Ahoy 🚢" * 60)

USERS = st.builds(
    User,
    id=st.uuids(),
    name=st.text(),
    email=st.emails(),
    email_verified=st.booleans(),
    role=st.sampled_from(User.Role) | st.sampled_from(User.Role.values),
    status=st.sampled_from(User.Status) | st.sampled_from(User.Status.values),
    bio=st.text(),
    avatar_url=st.text(),
    created_at=MOMENTS,
    updated_at=MOMENTS,
)
POSTS = st.builds(
    Post,
    id=st.uuids(),
    author=USERS,
    title=st.text(),
    slug=st.text(),
    content=LONG,
    status=st.sampled_from(Post.Status) | st.sampled_from(Post.Status.values),
    tags=st.lists(st.text()),
    view_count=NUMBERS,
    like_count=NUMBERS,
    comment_count=NUMBERS,
    version=NUMBERS,
    published_at=st.none() | MOMENTS,
    created_at=MOMENTS,
    updated_at=MOMENTS,
)


@st.composite
def messages(draw: st.DrawFn, conversation: Conversation | None = None) -> Message:
    """A message of one of two users, or of a member of a group, deleted or not."""
    first, second = draw(USERS), draw(USERS)
    if conversation is None:
        direct = {"id": draw(st.uuids()), "first": first, "second": second}
        group = {"id": draw(st.uuids()), "kind": "group", "title": "Crew"}
        conversation = Conversation(**draw(st.sampled_from([direct, group])))
    message = Message(
        id=draw(st.uuids()),
        conversation=conversation,
        sender=conversation.first or first,
        seq=draw(NUMBERS),
        content=draw(LONG),
        type=draw(st.sampled_from(Message.Type) | st.sampled_from(Message.Type.values)),
        client_id=draw(st.none() | st.text()),
        created_at=draw(MOMENTS),
        edited_at=draw(st.none() | MOMENTS),
        deleted_at=draw(st.none() | MOMENTS),
    )
    message.read_at = draw(st.none() | MOMENTS)
    message.is_read, message.is_delivered = draw(st.booleans()), draw(st.booleans())
    return message


@st.composite
def conversations(draw: st.DrawFn) -> ConversationSummary:
    """A direct conversation, as one of its users sees it."""
    first, second = draw(USERS), draw(USERS)
    conversation = Conversation(id=draw(st.uuids()), first=first, second=second)
    membership = Membership(user=first, conversation=conversation)
    membership.unread = draw(NUMBERS)
    seen = Seen(draw(st.booleans()), draw(st.booleans()), draw(st.none() | MOMENTS))
    return ConversationSummary(membership, second, draw(messages(conversation)), seen)


SHAPES: dict[type[CamelSerializer], st.SearchStrategy[Any]] = {
    UserOutput: USERS,
    ProfileOutput: USERS,
    PostOutput: POSTS,
    PostListItemOutput: POSTS,
    MessageOutput: messages(),
    ConversationOutput: conversations(),
}


def shapes(serializer: type[CamelSerializer] = CamelSerializer) -> Iterator[type[CamelSerializer]]:
    """Yield every serializer that has a shape."""
    for one in serializer.__subclasses__():
        if "dump" in vars(one):
            yield one
        yield from shapes(one)


# Pages of the event log hold events that are rendered already, in one of two forms; the suite
# validates each of them against openapi.yaml.
RENDERED = {EventsOutput, StreamEventsOutput}


def test_every_shape_is_compared() -> None:
    assert set(shapes()) - RENDERED == set(SHAPES)


@pytest.mark.parametrize("serializer", SHAPES, ids=lambda one: one.__name__)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_shape_shows_what_its_serializer_shows(
    serializer: type[CamelSerializer], data: st.DataObject
) -> None:
    thing = data.draw(SHAPES[serializer])
    # The bytes have the order of the fields too, also of those within.
    assert dumps(serializer.dump(thing)) == dumps(serializer().to_representation(thing))
