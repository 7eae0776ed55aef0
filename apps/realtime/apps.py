from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class RealtimeConfig(AppConfig):
    """Streams, the event log, the hub, the consumer and presence. Only this app uses Channels."""

    name = "apps.realtime"
    label = "realtime"
    layer = "realtime"

    def ready(self) -> None:
        """Have each app register its events and its commands of the websocket, and tell other
        processes what has changed."""
        from apps.core.kept import relay_drops
        from apps.realtime.hub import tell_drops

        autodiscover_modules("events", "commands")
        relay_drops(tell_drops)
