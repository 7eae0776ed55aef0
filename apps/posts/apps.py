from django.apps import AppConfig


class PostsConfig(AppConfig):
    """The posts that users publish."""

    name = "apps.posts"
    label = "posts"
    layer = "features"
