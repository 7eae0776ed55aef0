from django.apps import AppConfig


class ChatConfig(AppConfig):
    """Direct messages between two people."""

    name = "apps.chat"
    label = "chat"
    layer = "features"

    def ready(self) -> None:
        """Register the websocket's commands, and who may see whether a person is online."""
        from apps.chat import commands, events  # noqa: F401
