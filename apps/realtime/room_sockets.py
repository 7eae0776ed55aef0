"""Which sockets of this process are inside which rooms."""

from collections import OrderedDict
from collections.abc import Collection
from itertools import islice
from uuid import UUID

from apps.realtime.frames import Frame
from apps.realtime.isolation import each
from apps.realtime.rooms import RoomEntry, entries_of
from apps.realtime.server_frames import ROOM_PREFIX
from apps.realtime.socket_frames import LeftRoom
from apps.realtime.sockets import Socket

# Of how many users of a room the version of the last signal is kept. Signals overtake each other
# within a moment.
VERSIONS = 1_000


class RoomSockets:
    """The rooms that have sockets here. Lives on one event loop."""

    def __init__(self) -> None:
        # Ordered by when their users were last checked, the longest ago first.
        self._inside: OrderedDict[str, set[Socket]] = OrderedDict()
        self._versions: dict[str, OrderedDict[str, int]] = {}

    def add(self, socket: Socket, room: str) -> None:
        """Add a socket that is inside the room from now on."""
        socket.rooms.add(room)
        self._inside.setdefault(room, set()).add(socket)

    def remove(self, socket: Socket, room: str) -> None:
        """Remove a socket from a room."""
        socket.rooms.discard(room)
        sockets = self._inside.get(room, set())
        sockets.discard(socket)
        if not sockets:
            self._inside.pop(room, None)
            self._versions.pop(room, None)

    def remove_from_all(self, socket: Socket) -> list[RoomEntry]:
        """Remove a socket from its rooms, and return where it was."""
        left = entries_of(socket.rooms, socket.identity.user_id, socket.entry.socket_id)
        for entry in left:
            self.remove(socket, entry.room)
        return left

    def expel(self, user: UUID, room: str) -> None:
        """Remove the sockets of a user who may not see what the room is about, and tell them."""
        for socket in tuple(self._inside.get(room, ())):
            if socket.identity.user_id == user:
                self.remove(socket, room)
                socket.push(LeftRoom(room=room).render())

    def deliver(self, frame: Frame) -> None:
        """Deliver a signal about a user to the sockets of the others."""
        room = frame.stream.removeprefix(ROOM_PREFIX)
        sockets = self._inside.get(room)
        if not sockets or not self._is_news(room, frame):
            return
        others = [one for one in sockets if str(one.identity.user_id) != frame.about]
        each("push", others, lambda socket: socket.push(frame.content))

    def needed(self) -> set[str]:
        """Return the streams of the rooms that have sockets here."""
        return {ROOM_PREFIX + room for room in self._inside}

    def entries(self) -> list[RoomEntry]:
        """Return the sockets in their rooms."""
        return [
            RoomEntry(room, socket.identity.user_id, socket.entry.socket_id)
            for room, sockets in self._inside.items()
            for socket in sockets
        ]

    def next_to_check(self, most: int) -> dict[str, Collection[UUID]]:
        """Return the users of so many rooms, those that were not checked for longest."""
        rooms = list(islice(self._inside, most))
        for room in rooms:
            self._inside.move_to_end(room)
        return {room: {one.identity.user_id for one in self._inside[room]} for room in rooms}

    def _is_news(self, room: str, frame: Frame) -> bool:
        """Return whether the signal is not older than the last one about its user."""
        versions = self._versions.setdefault(room, OrderedDict())
        if frame.version < versions.get(frame.about, 0):
            return False
        versions[frame.about] = frame.version
        versions.move_to_end(frame.about)
        if len(versions) > VERSIONS:
            versions.popitem(last=False)
        return True
