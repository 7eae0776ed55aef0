"""Posts on the wire."""

from typing import Any

from rest_framework import serializers

from apps.accounts.serializers import UserOutput
from apps.core.http.envelope import plain
from apps.core.http.pagination import ListQuery
from apps.core.serializers import (
    CamelSerializer,
    Identifier,
    ShortList,
    Text,
    WholeNumber,
)
from apps.posts.models import Post
from apps.posts.shapes import excerpt, post_item_shape, post_shape

WRITABLE = (Post.Status.DRAFT, Post.Status.PUBLISHED)


class TagList(ShortList):
    """Tags in lower case, without duplicates, in the given order."""

    child = Text(min_length=1, max_length=50)

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=10, **options)

    def to_internal_value(self, data: Any) -> list[str]:
        """Return the tags; fail for more than ten."""
        return list(dict.fromkeys(tag.lower() for tag in super().to_internal_value(data)))


class PostInput(CamelSerializer):
    title = Text(min_length=3, max_length=255)
    content = Text(min_length=10, max_length=100_000)
    status = serializers.ChoiceField([(s.value, s.label) for s in WRITABLE], required=False)
    tags = TagList(required=False)


class PostChangeInput(CamelSerializer):
    """At least one of title, content, status and tags."""

    rule = {"minProperties": 1}

    title = Text(min_length=3, max_length=255, required=False)
    content = Text(min_length=10, max_length=100_000, required=False)
    status = serializers.ChoiceField(Post.Status.choices, required=False)
    tags = TagList(required=False)
    version = WholeNumber(min_value=1, max_value=2**31 - 1, required=False)


class PostQuery(ListQuery):
    status = serializers.ChoiceField(Post.Status.choices, required=False)
    author_id = Identifier(required=False)


class Excerpt(serializers.CharField):
    """The beginning of a post's content."""

    def __init__(self) -> None:
        super().__init__(source="content", help_text="The beginning of the content.")

    def to_representation(self, value: str) -> str:
        """Return the beginning of the content."""
        return excerpt(value)


class _PostOutput(CamelSerializer):
    id = serializers.UUIDField()
    title = serializers.CharField()
    slug = serializers.CharField()
    author_id = serializers.UUIDField()
    author = UserOutput()
    status = serializers.ChoiceField(Post.Status.choices)
    view_count = serializers.IntegerField()
    like_count = serializers.IntegerField()
    comment_count = serializers.IntegerField()
    tags = serializers.ListField(child=serializers.CharField())
    version = serializers.IntegerField()
    published_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class PostOutput(_PostOutput):
    """A post."""

    content = serializers.CharField()

    @classmethod
    def dump(cls, thing: Post) -> dict[str, Any]:
        """Return a post as it is sent."""
        return plain(post_shape(thing, thing.author))


class PostListItemOutput(_PostOutput):
    """A post in a list, with an excerpt in place of its content."""

    excerpt = Excerpt()

    @classmethod
    def dump(cls, thing: Any) -> dict[str, Any]:
        """Return a post, or a PostItem, as it is sent in lists."""
        return plain(post_item_shape(thing, thing.author))


class PostPublishedPayload(CamelSerializer):
    post = PostListItemOutput()
