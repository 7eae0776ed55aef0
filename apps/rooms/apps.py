from django.apps import AppConfig


class RoomsConfig(AppConfig):
    """Who is looking at the same thing at this moment, by websocket and over HTTP."""

    name = "apps.rooms"
    label = "rooms"
    layer = "features"
