"""What polls announce, on a stream of their own."""

from dataclasses import dataclass
from uuid import UUID

from apps.realtime.server_frames import Event, Signal
from apps.realtime.streams import StreamType, everybody
from polls.serializers import PollOpenedPayload, PollVotesPayload

POLLS = StreamType(
    prefix="polls",
    description="Polls as they are opened, and their votes. Every user may subscribe.",
    readers=everybody,
)


@dataclass(frozen=True, kw_only=True)
class PollOpened(Event):
    """A poll is open now."""

    type = "poll_opened"
    stream = POLLS
    payload = PollOpenedPayload

    poll_id: UUID
    question: str


@dataclass(frozen=True, kw_only=True)
class PollVotes(Signal):
    """A poll has this many votes now."""

    type = "poll_votes"
    stream = POLLS
    payload = PollVotesPayload

    poll_id: UUID
    votes: int

    @property
    def about(self) -> str:
        return f"poll {self.poll_id}"
