"""Errors of the websocket itself."""

from apps.core.errors import BadRequest, ServiceUnavailable


class TooManyStreams(BadRequest):
    code = "TOO_MANY_STREAMS"
    message = "This socket is subscribed to 1,000 streams already. Unsubscribe from some first."


class RoomsUnavailable(ServiceUnavailable):
    message = "Rooms are not available now. Try again."
