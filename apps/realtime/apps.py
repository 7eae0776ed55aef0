from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class RealtimeConfig(AppConfig):
    """Streams, the event log, the hub, the consumer and presence: alone knows channels."""

    name = "apps.realtime"
    label = "realtime"
    layer = "realtime"

    def ready(self) -> None:
        """Have each app register what it announces, and which commands of the websocket it has."""
        autodiscover_modules("events", "commands")
