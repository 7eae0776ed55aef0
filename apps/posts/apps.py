from django.apps import AppConfig


class PostsConfig(AppConfig):
    """What people publish."""

    name = "apps.posts"
    label = "posts"
    layer = "features"
