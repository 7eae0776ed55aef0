"""What realtime brings to the project."""

from functools import partial

from apps.core.features import Feature
from apps.realtime.connection_log import timelines, timelines_prune
from apps.realtime.event_log import epochs_renew, events_prune
from apps.realtime.models import LoggedEvent
from apps.realtime.personal_data import PERSONAL_DATA
from apps.realtime.presence import announce_departures
from apps.realtime.serializers import Activity
from apps.realtime.views import EventViewSet

FEATURE = Feature(
    routes={"events": EventViewSet},
    limits={"activity": 60},
    enums={"Activity": Activity},
    prunes={"events": events_prune, "timelines of websockets": timelines_prune},
    after_restore={"streams begin a new epoch": lambda _: epochs_renew()},
    counts={"events": LoggedEvent.objects.count},
    personal_data=PERSONAL_DATA,
    at_start=[timelines.start],
    at_stop=[timelines.flush, partial(announce_departures, hurry=True)],
)
