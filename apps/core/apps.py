from django.apps import AppConfig


class CoreConfig(AppConfig):
    """What every other app stands on; it has no domain of its own."""

    name = "apps.core"
    label = "core"
    layer = "core"
