"""Posts over HTTP."""

from typing import Any
from uuid import UUID

from rest_framework.decorators import action
from rest_framework.request import Request

from apps.accounts.requests import UserRequest, current_user
from apps.core.http.endpoints import Access, Endpoint
from apps.core.http.middleware import client_address
from apps.core.http.pagination import Listing
from apps.core.http.viewsets import ApiViewSet
from apps.posts import hot_reads, selectors, services
from apps.posts.errors import (
    AlreadyPublished,
    NothingToChange,
    NotYourPostToDelete,
    NotYourPostToPublish,
    NotYourPostToUpdate,
    PostChanged,
    PostNotFound,
    PublishedCannotBecomeDraft,
)
from apps.posts.events import FEED
from apps.posts.models import Post
from apps.posts.post_commits import post_create_grouped, post_update_grouped
from apps.posts.serializers import (
    PostChangeInput,
    PostInput,
    PostListItemOutput,
    PostOutput,
    PostQuery,
)
from apps.posts.view_counts import view_counter
from apps.realtime.snapshots import snapshot_with


class PostViewSet(ApiViewSet):
    """Posts: everyone reads published posts, and authors write their own."""

    @Endpoint(
        message="Posts retrieved successfully",
        query=PostQuery,
        output=PostListItemOutput,
        per_page=hot_reads.PER_PAGE,
        access=Access.ANYONE,
        streams=snapshot_with(lambda _: [FEED.name()]),
        hot=hot_reads.POST_LIST,
    )
    def list(self, request: Request, **filters: Any) -> Listing[Any]:
        """List posts, the newest first."""
        return hot_reads.listing(selectors.posts_visible(current_user(request), **filters))

    @Endpoint(
        message="Post created successfully",
        status=201,
        input=PostInput,
        output=PostOutput,
        limit="create_post",
        grouped=post_create_grouped,
    )
    def create(self, request: UserRequest, **data: Any) -> Post:
        """Create a post, as a draft or published at once."""
        return services.post_create(request.user, **data)

    @Endpoint(
        message="Post retrieved successfully",
        output=PostOutput,
        access=Access.ANYONE,
        refuses=[PostNotFound],
        revision="version",
        hot=hot_reads.POST_BY_ID,
    )
    def retrieve(self, request: Request, pk: UUID) -> Post:
        """Return a post."""
        return _record_view(request, selectors.post_get(current_user(request), pk))

    @action(detail=False, methods=["get"], url_path="slug/(?P<slug>[a-z0-9-]{1,255})")
    @Endpoint(
        message="Post retrieved successfully",
        output=PostOutput,
        access=Access.ANYONE,
        refuses=[PostNotFound],
        revision="version",
        hot=hot_reads.POST_BY_SLUG,
    )
    def by_slug(self, request: Request, slug: str) -> Post:
        """Return the post that has, or once had, this slug."""
        return _record_view(request, selectors.post_get_by_slug(current_user(request), slug))

    @Endpoint(
        message="Post updated successfully",
        input=PostChangeInput,
        output=PostOutput,
        refuses=[
            NothingToChange,
            PublishedCannotBecomeDraft,
            NotYourPostToUpdate,
            PostNotFound,
            PostChanged,
        ],
        revision="version",
        grouped=post_update_grouped,
    )
    def partial_update(self, request: UserRequest, pk: str, **changes: Any) -> Post:
        """Change the given fields of a post."""
        return services.post_update(request.user, post_id=UUID(pk), **changes)

    update = partial_update

    @Endpoint(
        message="Post deleted successfully",
        refuses=[NotYourPostToDelete, PostNotFound],
        revision="version",
    )
    def destroy(self, request: UserRequest, pk: UUID, if_match: str) -> None:
        """Delete a post."""
        services.post_delete(request.user, post_id=pk, if_match=if_match)

    @action(detail=True, methods=["post"])
    @Endpoint(
        message="Post published successfully",
        output=PostOutput,
        refuses=[AlreadyPublished, NotYourPostToPublish, PostNotFound],
    )
    def publish(self, request: UserRequest, pk: UUID) -> Post:
        """Publish a post."""
        return services.post_publish(request.user, post_id=pk)


def _record_view(request: Request, post: Post) -> Post:
    """Record a view of the post and return it."""
    user_agent = request.headers.get("User-Agent", "")
    view_counter.record(post, current_user(request), client_address(request), user_agent)
    return post
