from django.apps import AppConfig


class PostsConfig(AppConfig):
    """What people publish."""

    name = "apps.posts"
    label = "posts"
    layer = "features"

    def ready(self) -> None:
        """Register who may follow the feed."""
        from apps.posts import events  # noqa: F401
