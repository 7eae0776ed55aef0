"""What the fuzz run needs to know about rooms and cannot guess."""

from testing.fuzz.knowledge import Knowledge

ROOM = {"path.room": "rooms"}

KNOWLEDGE = Knowledge(
    real={"rooms_presence": ROOM, "rooms_join": ROOM, "rooms_leave": ROOM},
    past=lambda people: {"rooms": ["room.deck", "room.mast"]},
    things=dict.fromkeys(
        ("rooms_presence", "rooms_join", "rooms_leave"), lambda caller, other: "room.deck"
    ),
)
