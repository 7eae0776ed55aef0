"""Errors of streams and of the websocket itself."""

from apps.core.errors import BadRequest, NotFound, RateLimited, ServiceUnavailable

# How many requests of one user may wait for events at once, in each process.
POLLS_PER_USER = 10


class StreamNotFound(NotFound):
    message = "There is no such stream"


class TooManyPolls(RateLimited):
    message = f"{POLLS_PER_USER} requests of yours wait for events already."

    def __init__(self) -> None:
        super().__init__(limit=POLLS_PER_USER, remaining=0, reset=1, retry_after=1)


class TooManyStreams(BadRequest):
    code = "TOO_MANY_STREAMS"
    message = "This socket is subscribed to 1,000 streams already. Unsubscribe from some first."


class RoomsUnavailable(ServiceUnavailable):
    message = "Rooms are not available now. Try again."
