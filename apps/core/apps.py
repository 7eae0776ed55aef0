from django.apps import AppConfig


class CoreConfig(AppConfig):
    """The app that every other app uses; it has no domain of its own."""

    name = "apps.core"
    label = "core"
    layer = "core"
