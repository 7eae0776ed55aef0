from django.apps import AppConfig


class PollsConfig(AppConfig):
    """Questions that users vote on: the smallest feature that has something of everything."""

    name = "polls"
    label = "polls"
    layer = "features"
