"""What the fuzz run needs to know about streams and cannot guess."""

from apps.realtime.poll_serializers import ONCE, ONE_EACH
from testing.fuzz.knowledge import Knowledge

KNOWLEDGE = Knowledge(
    # With a number that no stream has reached yet, no request waits for an event.
    real={"events_list": {"query.stream": "streams", "query.after": "numbers"}},
    past=lambda people: {
        "streams": ["feed", f"user.{people.ann.id}", f"feed,user.{people.bob.id}"],
        "numbers": ["1000000", "1000000,1000000"],
    },
    reasons={ONE_EACH, ONCE},
    values={"stream": lambda caller, other: "feed"},
)
