"""What rooms bring to the project."""

from apps.core.features import Feature
from apps.rooms.views import RoomViewSet

FEATURE = Feature(
    routes={"rooms": RoomViewSet},
    limits={"join_room": 120},
)
