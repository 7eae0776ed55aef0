"""The one page that registers every viewset."""

from rest_framework.routers import SimpleRouter

from apps.accounts.views import AuthViewSet, UserViewSet
from apps.chat.views import MessageViewSet
from apps.posts.views import PostViewSet

router = SimpleRouter(trailing_slash=False)
router.register("auth", AuthViewSet, basename="auth")
router.register("users", UserViewSet, basename="users")
router.register("posts", PostViewSet, basename="posts")
router.register("messages", MessageViewSet, basename="messages")
