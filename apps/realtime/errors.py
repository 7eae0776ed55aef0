"""Errors of the websocket itself."""

from apps.core.errors import BadRequest


class TooManyStreams(BadRequest):
    code = "TOO_MANY_STREAMS"
    message = "This socket is subscribed to 1,000 streams already. Unsubscribe from some first."
