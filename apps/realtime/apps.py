from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    """Streams, the event log, the hub, the consumer and presence: alone knows channels."""

    name = "apps.realtime"
    label = "realtime"
    layer = "realtime"

    def ready(self) -> None:
        """Register the commands that need no feature."""
        from apps.realtime import commands  # noqa: F401
