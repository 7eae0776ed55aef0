"""Where a client continues in a stream, and whether it misses nothing when it does."""

from dataclasses import dataclass

from apps.realtime.event_log import Backlog


@dataclass(frozen=True)
class ResumePoint:
    """Where a subscription begins: after which event, in which epoch of the log, and the requestId
    of the answer. The user may not read the events up to `readable_after`."""

    after: int | None
    epoch: str = ""
    request_id: str | None = None
    readable_after: int = 0

    def misses_nothing(self, head: int, epoch: str, backlog: Backlog) -> bool:
        """Return whether the client has all events once it has the backlog, given the stream's head
        and epoch. Otherwise it must fetch the state over REST. Without a number it begins at the
        head."""
        after = head if self.after is None else self.after
        return (
            backlog.complete and self.readable_after <= after <= head and self.epoch in {"", epoch}
        )
