"""What the experiments add to Parley: a periodic job, in processes that are told its period."""

import os

from apps.core.features import Feature
from apps.jobs.schedules import Schedule
from testing.chaos.tasks import note_slot

FEATURE = Feature(
    schedules={"chaos": Schedule(note_slot, every=int(os.environ["CHAOS_SCHEDULE_SECONDS"]))}
)
