from django.apps import AppConfig


class ChatConfig(AppConfig):
    """What two people, or the members of a group, say to each other."""

    name = "apps.chat"
    label = "chat"
    layer = "features"

    def ready(self) -> None:
        """Register what groups announce; `events` and `commands` are found by themselves."""
        from apps.chat import group_events  # noqa: F401
