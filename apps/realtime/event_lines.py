"""The lines of the log by which an event is followed from process to process (docs/operations.md).

They are about events with a subject: messages and posts. An event is the same in all of them by its
stream and its number there, `seq`.
"""

from collections import defaultdict
from collections.abc import Iterable

from apps.core.metrics import Counter
from apps.core.quick_log import QuickLog
from apps.realtime.frames import Frame
from apps.realtime.sockets import Subscriber

EVENT_LOGGER = "parley.event"

log = QuickLog(EVENT_LOGGER)

PUBLISHED = Counter(
    "parley_events_published_total", "Events that were logged, one for each stream they go to."
)
CATCH_UPS = Counter("parley_catch_ups_total", "Subscribers that got what they had missed.")
CAUGHT_UP = Counter("parley_events_caught_up_total", "Events that subscribers had missed.")


def log_published(frames: Iterable[Frame]) -> None:
    """Log the numbers of committed events, in one line for each subject."""
    frames = list(frames)
    PUBLISHED.add(len(frames))
    numbers: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for frame in frames:
        if frame.about and frame.seq is not None:
            numbers[frame.about][frame.stream] = frame.seq
    for subject, of_subject in numbers.items():
        log.info("published", subject=subject, numbers=of_subject)


def log_delivered(frame: Frame, sockets: int) -> None:
    """Log that an event went to so many sockets and polls of this process, if it went to any."""
    if frame.about and sockets:
        log.info(
            "delivered", subject=frame.about, stream=frame.stream, seq=frame.seq, sockets=sockets
        )


def log_caught_up(subscriber: Subscriber, stream: str, after: int, up_to: int) -> None:
    """Log that a subscriber got the events of a stream after one number up to another, which it had
    missed."""
    CATCH_UPS.add()
    CAUGHT_UP.add(up_to - after)
    log.info("caught up", **subscriber.named, stream=stream, after=after, up_to=up_to)
