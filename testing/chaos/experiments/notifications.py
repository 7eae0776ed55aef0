"""Web processes and workers are killed while the followers of an author are told of posts."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from testing.chaos.cluster import Timeout, until
from testing.chaos.followers import follow, read_what_they_were_told
from testing.chaos.invariants import Violation
from testing.chaos.journal import Attempt
from testing.chaos.link import CutAt
from testing.chaos.people import FEED
from testing.chaos.processes import Process
from testing.chaos.repetition import Repetition
from testing.chaos.sinks import Sink

# How many posts with a fault each, and how many followers.
LONG, SHORT = (20, 60), (6, 20)
# The tasks by which a post is told to all followers, and to one of them.
TELLING, MAILING, PUSHING = "tell_followers", "deliver", "push_to"
# How long something may take to begin, and all jobs to be done once the leases of those that were
# killed have ended.
BEGUN_SECONDS, DONE_SECONDS = 20.0, 30.0

Fault = Callable[[Repetition], Awaitable[None]]


async def notifications(here: Repetition) -> None:
    """Each post has one of the faults."""
    posts, followers = LONG if here.long else SHORT
    async with here.cluster.working(2):
        await follow(here, here.cast.people[0], here.crowd[:followers])
        # What other experiments have left.
        await _jobs_are_done(here)
        await _killed_committing(here)
        for number in range(posts - 1):
            await FAULTS[number % len(FAULTS)](here)
        await _jobs_are_done(here)
        await read_what_they_were_told(here)
    arrived = here.journal.arrived
    here.notes.append(
        f"{len(here.journal.told)} notifications, {len(arrived)} mails and pushes, of which "
        f"{len(arrived) - len({*arrived})} are repeats"
    )


async def _jobs_are_done(here: Repetition) -> None:
    try:
        await until(partial(_no_job_waits, here), seconds=here.lease + DONE_SECONDS)
    except Timeout as late:
        here.found.append(Violation("slow", f"jobs and deliveries still wait: {late}"))


def _no_job_waits(here: Repetition) -> bool:
    tasks = [f"%.{task}" for task in (TELLING, MAILING, PUSHING)]
    return not here.cluster.query(
        "SELECT 1 FROM jobs_job WHERE due_at IS NOT NULL AND task LIKE ANY(%s)"
        " UNION ALL SELECT 1 FROM notifications_delivery WHERE decision = 'pending'",
        tasks,
    )


async def _publish(here: Repetition) -> Attempt:
    return await here.cast.send(here.cast.people[0], FEED)


async def _kill(here: Repetition, *processes: Process) -> None:
    """Kill processes, and start them again at once."""
    await asyncio.to_thread(here.cluster.kill, *processes)
    for process in processes:
        process.start()


async def _kill_holders(here: Repetition, task: str) -> None:
    await _kill(here, *await asyncio.to_thread(here.cluster.holders, task))


async def _killed_committing(here: Repetition) -> None:
    """The web process that has committed a post is killed before it is told so."""
    words = f"Ahoy, says {here.cast.people[0].name}".encode()
    cuts = {web: CutAt(b"COMMIT", before=False, times=1, after=words) for web in here.webs}
    for web, cut in cuts.items():
        web.to_postgres.cut_at = cut
    publishing = asyncio.create_task(_publish(here))
    await until(lambda: not all(cut.times for cut in cuts.values()), seconds=BEGUN_SECONDS)
    for web in here.webs:
        web.to_postgres.cut_at = None
    await _kill(here, *(web for web, cut in cuts.items() if not cut.times))
    await publishing


async def _killed_telling(here: Repetition) -> None:
    """Who tells the followers is killed when some of them have been told."""
    post = await _publish(here)
    await until(partial(_some_are_told, here, post), seconds=BEGUN_SECONDS, pause=0.005)
    await _kill_holders(here, TELLING)


def _some_are_told(here: Repetition, post: Attempt) -> bool:
    told = "SELECT 1 FROM notifications_notification WHERE data->>'title' = %s"
    return bool(here.cluster.query(told, post.client_id))


async def _killed_sending(here: Repetition, sink: Callable[[Repetition], Sink], task: str) -> None:
    """The process that sends something is killed when that has arrived, before it is told so."""
    with sink(here).unanswered() as came:
        await _publish(here)
        async with asyncio.timeout(BEGUN_SECONDS):
            await came.wait()
        await _kill_holders(here, task)


async def _worker_killed(here: Repetition) -> None:
    """A worker is killed at any moment."""
    await _publish(here)
    await asyncio.sleep(here.rng.uniform(0, 0.5))
    await _kill(here, here.rng.choice(here.cluster.workers))


async def _web_killed(here: Repetition) -> None:
    """A web process is killed at any moment."""
    publishing = asyncio.create_task(_publish(here))
    await asyncio.sleep(here.rng.uniform(0, 0.2))
    await _kill(here, here.one)
    await publishing


FAULTS: tuple[Fault, ...] = (
    _killed_telling,
    partial(_killed_sending, sink=lambda here: here.cluster.mails, task=MAILING),
    partial(_killed_sending, sink=lambda here: here.cluster.pushes, task=PUSHING),
    _worker_killed,
    _web_killed,
)
