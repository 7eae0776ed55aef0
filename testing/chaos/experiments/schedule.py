"""Workers are killed and frozen while they do a periodic job."""

import asyncio
import signal
import time
from collections import Counter
from contextlib import suppress
from functools import partial

from testing.chaos.cluster import START_SECONDS, Timeout, until
from testing.chaos.processes import Worker
from testing.chaos.repetition import Repetition

WORKERS = 4
TASK = "note_slot"
SLOT_SECONDS = 2
# How long a job may take once the lease of a worker that was killed has ended.
DONE_SECONDS = 15.0


async def periodic(here: Repetition) -> None:
    """In one slot the worker that has the job is frozen for longer than its lease; in others it is
    killed."""
    async with here.cluster.working(WORKERS, CHAOS_SCHEDULE_SECONDS=str(SLOT_SECONDS)):
        frozen = await _holder(here, seconds=START_SECONDS)
        frozen.send(signal.SIGSTOP)
        first = _slot()
        for _ in range(6 if here.long else 2):
            killed = await _holder(here, but=frozen)
            await asyncio.to_thread(here.cluster.kill, killed)
            killed.start()
            await until(partial(_is_over, _slot()), seconds=2 * SLOT_SECONDS)
        await until(partial(_lost, here, frozen), seconds=here.lease + DONE_SECONDS)
        frozen.send(signal.SIGCONT)
        here.journal.slots = range(first, _slot() + 1)
        # The journal tells in which it did not.
        with suppress(Timeout):
            await until(partial(_all_ran, here), seconds=here.lease + DONE_SECONDS)
    runs = here.journal.runs
    here.notes.append(f"{runs.total()} runs in {len(runs)} slots of {len(here.journal.slots)}")


def _slot() -> int:
    return int(time.time() // SLOT_SECONDS)


def _is_over(slot: int) -> bool:
    return _slot() > slot


async def _holder(
    here: Repetition, but: Worker | None = None, seconds: float = 10 * SLOT_SECONDS
) -> Worker:
    """Wait until a worker, but this one, has the job, and return it; raise Timeout."""
    found: list[Worker] = []

    def one_has_it() -> bool:
        holders = here.cluster.holders(TASK)
        found[:] = [one for one in here.cluster.workers if one in holders and one is not but]
        return bool(found)

    await until(one_has_it, seconds=seconds, pause=0.02)
    return found[0]


def _lost(here: Repetition, worker: Worker) -> bool:
    """Return whether another worker has taken the job of this one."""
    return worker not in here.cluster.holders(TASK)


def _all_ran(here: Repetition) -> bool:
    """Count the runs in each slot, and return whether no slot lacks one."""
    slots = here.journal.slots
    noted = here.cluster.query("SELECT slot FROM chaos_run")
    ran = Counter(int(slot.rpartition("@")[2]) for (slot,) in noted)
    here.journal.runs = Counter({slot: ran[slot] for slot in slots if ran[slot]})
    return len(here.journal.runs) == len(slots)
