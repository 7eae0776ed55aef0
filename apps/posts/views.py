"""Posts over HTTP."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.requests import PersonRequest, viewer_of
from apps.core.http.conditional import conditional_answer
from apps.core.http.envelope import answer
from apps.core.http.middleware import client_address
from apps.core.http.pagination import paginate
from apps.core.http.schema import IF_MATCH, paginated
from apps.core.http.viewsets import ApiViewSet
from apps.posts import selectors, services
from apps.posts.models import Post
from apps.posts.serializers import (
    PostChange,
    PostInput,
    PostListItem,
    PostQuery,
    PostShape,
)
from apps.posts.viewing import view_counter


class PostViewSet(ApiViewSet):
    """Posts: everybody reads the published ones, their authors write."""

    limits = {"create": "create_post"}

    def get_permissions(self) -> list[BasePermission]:
        """Let everybody read."""
        reading = self.action in {"list", "retrieve", "by_slug"}
        return [AllowAny() if reading else IsAuthenticated()]

    @extend_schema(parameters=[PostQuery], responses={200: PostListItem(many=True)})
    @paginated
    def list(self, request: Request) -> Response:
        """List posts, the newest first."""
        query = PostQuery.read(request.query_params.dict())
        posts = selectors.posts_visible(
            viewer_of(request), status=query.get("status"), author_id=query.get("author_id")
        )
        found = paginate(posts, query)
        return answer(
            "Posts retrieved successfully",
            PostListItem.show_all(found.rows),
            pagination=found.pagination,
        )

    @extend_schema(request=PostInput, responses={201: PostShape})
    def create(self, request: PersonRequest) -> Response:
        """Write a post, as a draft or public at once."""
        post = services.post_create(request.user, **PostInput.read(request.data))
        return answer("Post created successfully", PostShape.show(post), status=201)

    @extend_schema(responses={200: PostShape})
    def retrieve(self, request: Request, pk: UUID) -> Response:
        """Return a post."""
        return self._show(request, selectors.post_get(viewer_of(request), pk))

    @extend_schema(responses={200: PostShape})
    @action(detail=False, methods=["get"], url_path="slug/(?P<slug>[a-z0-9-]{1,255})")
    def by_slug(self, request: Request, slug: str) -> Response:
        """Return the post that has, or once had, this slug."""
        return self._show(request, selectors.post_get_by_slug(viewer_of(request), slug))

    @extend_schema(request=PostChange, responses={200: PostShape})
    def update(self, request: PersonRequest, pk: UUID) -> Response:
        """Change what is given of a post."""
        return self.partial_update(request, pk)

    @extend_schema(request=PostChange, responses={200: PostShape})
    def partial_update(self, request: PersonRequest, pk: UUID) -> Response:
        """Change what is given of a post."""
        post = services.post_update(
            request.user,
            post_id=pk,
            if_match=request.headers.get("If-Match", ""),
            **PostChange.read(request.data),
        )
        return conditional_answer(
            request, "Post updated successfully", PostShape.show(post), str(post.version)
        )

    @extend_schema(parameters=[IF_MATCH], responses={200: None})
    def destroy(self, request: PersonRequest, pk: UUID) -> Response:
        """Delete a post."""
        services.post_delete(request.user, post_id=pk, if_match=request.headers.get("If-Match", ""))
        return answer("Post deleted successfully")

    @extend_schema(request=None, responses={200: PostShape})
    @action(detail=True, methods=["post"])
    def publish(self, request: PersonRequest, pk: UUID) -> Response:
        """Make a post public."""
        post = services.post_publish(request.user, post_id=pk)
        return answer("Post published successfully", PostShape.show(post))

    def _show(self, request: Request, post: Post) -> Response:
        view_counter.note(
            post,
            viewer_of(request),
            client_address(request),
            request.headers.get("User-Agent", ""),
        )
        return conditional_answer(
            request, "Post retrieved successfully", PostShape.show(post), str(post.version)
        )
