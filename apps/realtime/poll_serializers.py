"""Requests for events over HTTP, and their answers."""

from collections.abc import Sequence
from typing import Any

import orjson
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.serializers import CamelSerializer, Text
from apps.realtime.event_pages import EventPage, StreamEvents
from apps.realtime.resume_points import ResumePoint
from apps.realtime.serializers import EXAMPLE, StreamName, SubscribedPayload

# For how many streams one request may ask.
MOST_STREAMS = 20
# How long it may wait, in seconds.
LONGEST_WAIT = 25
TOO_MANY = f"Ask for no more than {MOST_STREAMS} streams."
ONE_EACH = "Send one for each stream."
ONCE = "Name each stream once."


class CommaSeparated(serializers.ListField):
    """A value for each stream, with commas between them."""

    def __init__(self, child: serializers.Field[Any, Any, Any, Any], **options: Any) -> None:
        super().__init__(child=child, **options)

    def to_internal_value(self, data: Any) -> list[Any]:
        """Return the values; fail for too many of them, or with the first that is wrong."""
        parts = str(data).split(",")
        if len(parts) > MOST_STREAMS:
            raise serializers.ValidationError(TOO_MANY, code="max_length")
        return [self.child.run_validation(part) for part in parts]


def _separated(value: str) -> str:
    """Return the pattern of values with commas between them, given that of one of them."""
    return f"^{value}(,{value}){{0,{MOST_STREAMS - 1}}}$"


@extend_schema_field(
    {"type": "string", "pattern": _separated(r"[!-+\--~]{1,100}"), "examples": [EXAMPLE]}
)
class StreamNames(CommaSeparated):
    """Names of streams."""


@extend_schema_field({"type": "string", "pattern": _separated("[0-9]{1,18}"), "examples": ["41"]})
class Numbers(CommaSeparated):
    """Numbers of events."""

    def to_internal_value(self, data: Any) -> list[int]:
        """Return the numbers."""
        return [int(part) for part in super().to_internal_value(data)]


@extend_schema_field(
    {"type": "string", "pattern": _separated("[^,]{0,12}"), "examples": ["9c1d00000001"]}
)
class Epochs(CommaSeparated):
    """Epochs of streams."""


class EventsQuery(CamelSerializer):
    """Where a client goes on in some streams, and how long it waits for the first event."""

    stream = StreamNames(
        StreamName(),
        help_text=f"The name of a stream, or of up to {MOST_STREAMS} with commas between them.",
    )
    after = Numbers(
        serializers.RegexField(
            r"^[0-9]{1,18}\Z", error_messages={"invalid": "Send a whole number from 0 on."}
        ),
        required=False,
        help_text="The last number that you have of each stream, in the same order. Without it you "
        "get the heads only.",
    )
    epoch = Epochs(
        Text(max_length=12, allow_blank=True),
        required=False,
        help_text="The epoch that you have of each stream, in the same order; nothing for one that "
        "you do not know.",
    )
    wait = serializers.IntegerField(
        min_value=0,
        max_value=LONGEST_WAIT,
        required=False,
        help_text="For how many seconds to wait for an event if you have missed none.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require each stream once, with as many numbers and epochs as there are streams."""
        count = len(attrs["stream"])
        wrong = {
            name: ONE_EACH
            for name in ("after", "epoch")
            if len(attrs.get(name, attrs["stream"])) != count
        }
        if len(set(attrs["stream"])) != count:
            wrong["stream"] = ONCE
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs


def points_of(
    stream: list[str], after: list[int] | None = None, epoch: list[str] | None = None
) -> dict[str, ResumePoint]:
    """Return where the client goes on in each stream, by name, given a validated EventsQuery."""
    numbers: Sequence[int | None] = after or [None] * len(stream)
    epochs = epoch or [""] * len(stream)
    points = map(ResumePoint, numbers, epochs)
    return dict(zip(stream, points, strict=True))


class EventOutput(CamelSerializer):
    """An event, as sockets receive it: asyncapi.yaml describes the data of each type."""

    type = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]
    timestamp = serializers.DateTimeField()
    stream = StreamName()
    seq = serializers.IntegerField(min_value=1)


class StreamEventsOutput(SubscribedPayload):
    """A stream, and what you missed of it. If `recovered` is false, fetch the state over REST. If
    `head` is larger than the number of the last event, there is more."""

    events = EventOutput(many=True)

    @classmethod
    def dump(cls, thing: StreamEvents) -> dict[str, Any]:
        """Return a stream as it is sent."""
        return {
            "stream": thing.name,
            "head": thing.head,
            "epoch": thing.epoch,
            "recovered": thing.recovered,
            # They are rendered already, as they are for sockets.
            "events": [orjson.Fragment(frame.content) for frame in thing.events],
        }


class SeveralStreamsOutput(CamelSerializer):
    """The streams that you asked for. One that is missing found no room: ask again."""

    streams = StreamEventsOutput(many=True)


class EventsOutput(CamelSerializer):
    """The stream that you asked for, or all of them if you asked for several."""

    variants = (StreamEventsOutput, SeveralStreamsOutput)

    @classmethod
    def dump(cls, thing: EventPage) -> dict[str, Any]:
        """Return a page as it is sent."""
        streams = StreamEventsOutput.dump_all(thing.streams.values())
        return {"streams": streams} if thing.of_several else streams[0]
