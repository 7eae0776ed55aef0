from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """What users are told, by which channel, and why."""

    name = "apps.notifications"
    label = "notifications"
    layer = "notifications"
