from django.apps import AppConfig


class ChatConfig(AppConfig):
    """Direct messages between two people."""

    name = "apps.chat"
    label = "chat"
    layer = "features"
