"""The refusals of rooms."""

from apps.core.errors import BadRequest, NotFound


class RoomNotFound(NotFound):
    message = "Room not found"


class TooManyRooms(BadRequest):
    code = "TOO_MANY_ROOMS"
    message = "This socket is inside 20 rooms already. Leave some first."
