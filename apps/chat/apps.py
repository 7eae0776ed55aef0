from django.apps import AppConfig


class ChatConfig(AppConfig):
    """Direct messages between two users, and messages in groups."""

    name = "apps.chat"
    label = "chat"
    layer = "features"

    def ready(self) -> None:
        """Register the events of groups; `events` and `commands` are found by themselves."""
        from apps.chat import group_events  # noqa: F401
