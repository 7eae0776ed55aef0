"""The event log over HTTP."""

from typing import Any

from rest_framework.request import Request

from apps.core.http.endpoints import Endpoint
from apps.core.http.viewsets import ApiViewSet
from apps.realtime.errors import StreamNotFound, TooManyPolls
from apps.realtime.event_pages import EventPage
from apps.realtime.poll_serializers import EventsOutput, EventsQuery, points_of
from apps.realtime.selectors import events_missed
from apps.realtime.sockets import Identity


class EventViewSet(ApiViewSet):
    """The events of streams, for clients without a websocket."""

    @Endpoint(
        message="Events retrieved successfully",
        query=EventsQuery,
        output=EventsOutput,
        refuses=[StreamNotFound, TooManyPolls],
        secret=True,
    )
    def list(self, request: Request, wait: int = 0, **points: Any) -> EventPage:
        """List the events of streams that you missed, the oldest first. With `wait` the answer
        comes with the first event, or after so many seconds."""
        # A view has a thread, so it does not wait: polling.py answers the requests that do.
        session: Any = request.auth
        reader = Identity(session.user_id, session.pk)
        return events_missed(reader, points_of(**points))
