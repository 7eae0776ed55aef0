"""Rooms over HTTP, for clients without a websocket."""

from rest_framework.decorators import action

from apps.accounts.models import User
from apps.accounts.requests import UserRequest
from apps.accounts.serializers import UserOutput
from apps.core.http.endpoints import Endpoint
from apps.core.http.pagination import Listing, ListQuery
from apps.core.http.viewsets import ApiViewSet
from apps.rooms import selectors, services
from apps.rooms.errors import RoomNotFound
from apps.rooms.selectors import Room
from apps.rooms.serializers import RoomOutput


class RoomViewSet(ApiViewSet):
    """Rooms, by their names."""

    lookup_url_kwarg = "room"
    lookup_value_regex = r"[a-z]+\.[a-z0-9-]{1,64}"

    @action(detail=True, methods=["get"])
    @Endpoint(
        message="Members retrieved successfully",
        query=ListQuery,
        output=UserOutput,
        per_page=50,
        refuses=[RoomNotFound],
    )
    def presence(self, request: UserRequest, room: str) -> Listing[User]:
        """List who is inside a room, at most 1,000 users."""
        return Listing(selectors.users_inside(request.user, room))

    @presence.mapping.post
    @Endpoint(message="Room joined", output=RoomOutput, limit="join_room", refuses=[RoomNotFound])
    def join(self, request: UserRequest, room: str) -> Room:
        """Enter a room, or stay inside: for 60 seconds from now on."""
        return services.room_join(request.user.pk, room=room, device=str(request.auth.pk))

    @presence.mapping.delete
    @Endpoint(message="Room left", refuses=[RoomNotFound])
    def leave(self, request: UserRequest, room: str) -> None:
        """Leave a room."""
        services.room_left(request.user.pk, room=room, device=str(request.auth.pk))
