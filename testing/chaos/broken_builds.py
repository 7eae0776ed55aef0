"""Builds that lack one safeguard each. An experiment has to catch each of them, or proves nothing.

PARLEY_TAMPER names the build to a process, as in the tests of realtime (their tampered.py).
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from apps.realtime.tests import tampered
from apps.realtime.tests.tampered import TAMPERINGS, TamperedConfig
from testing.chaos import broken_jobs
from testing.chaos.usual_changes import ALWAYS, SHORT_TIMES

EVENT_LOG = "apps.realtime.event_log"
SUBSCRIBERS = "apps.realtime.stream_subscribers"


@dataclass(frozen=True)
class Build:
    """What is broken, how: by changes of the processes, by a statement in the database, or in the
    client, which then applies whatever number comes; and the experiment that is made for it."""

    lacks: str
    caught_by: str
    changes: Sequence[tuple[str, str, Any]] = ()
    statement: str = ""
    careless_client: bool = False


class BrokenConfig(TamperedConfig):
    """Changes a process as TamperedConfig does: in one thing, and in what all builds have."""

    path = str(Path(tampered.__file__).parent)

    def ready(self) -> None:
        """Make the changes that the environment names."""
        TAMPERINGS.update({name: [*build.changes] for name, build in BUILDS.items()})
        TAMPERINGS.update({"always": ALWAYS, "short-times": SHORT_TIMES})
        super().ready()


_elsewhere = ThreadPoolExecutor(1)


def number_outside_the_lock(model: Any, *args: Any) -> Any:
    """Number events in a transaction of its own, as an auto-increment does."""
    from apps.core.db.sql import insert
    from apps.realtime.models import Stream

    if model is not Stream:
        return insert(model, *args)
    return _elsewhere.submit(insert, model, *args).result()


def at_once(call: Callable[[], None], **_: Any) -> None:
    """Do before the commit what is to be done after it."""
    call()


def deliver_what_comes(subscribers: Any, frame: Any) -> None:
    """Deliver a frame whatever the position is."""
    if frame.seq is None:
        subscribers._deliver_signal(frame)
    elif frame.seq > subscribers.position:
        subscribers._deliver_event(frame)


def prune_by_time(since: Any, until: Any, limit: Any) -> int:
    """Delete the events that are old, whatever their numbers are."""
    from apps.realtime.models import LoggedEvent

    old = LoggedEvent.objects.filter(created_at__gt=since, created_at__lte=until)
    return old.filter(created_at__lt=limit).delete()[0]


def without_a_look_at_holes(*args: Any) -> Any:
    """Return a page as if it were complete."""
    from apps.realtime.event_log import events_after

    return _complete(events_after(*args))


def pages_without_a_look_at_holes(*args: Any) -> Any:
    """Return pages as if they were complete."""
    from apps.realtime.event_log import pages_after

    return [page and _complete(page) for page in pages_after(*args)]


def _complete(page: Any) -> Any:
    from apps.realtime.event_log import Backlog

    return Backlog(page.frames, complete=bool(page.frames) or page.complete)


BUILDS: Mapping[str, Build] = {
    "numbers-outside-the-lock": Build(
        "numbers under the lock of their stream",
        "commit-cut",
        [(EVENT_LOG, "insert", number_outside_the_lock)],
    ),
    "forgets-client-ids": Build(
        "uniqueness of client ids",
        "same-client-id",
        [("apps.chat.services", "sent_before", lambda _: {})],
        statement="ALTER TABLE chat_message DROP CONSTRAINT message_client_id_unique",
    ),
    "empty-heartbeats": Build(
        "heads in the heartbeat",
        "frames-lost",
        [("apps.realtime.socket_frames:Heartbeat", "data", lambda _: {"streams": {}})],
    ),
    "never-compares-heads": Build(
        "the comparison of heads with the log", "wake-ups-lost", TAMPERINGS["never-heals"]
    ),
    "hub-ignores-gaps": Build(
        "the gap branch of the hub",
        "wake-ups-lost",
        [(f"{SUBSCRIBERS}:StreamSubscribers", "deliver", deliver_what_comes)],
    ),
    "client-ignores-gaps": Build(
        "the gap branch of the client", "frames-lost", careless_client=True
    ),
    "wakes-before-commit": Build(
        "the wake-up after the commit",
        "commit-cut",
        [(EVENT_LOG, "transaction", SimpleNamespace(on_commit=at_once))],
    ),
    "prunes-by-time": Build(
        "the reset of a client that comes back after a prune",
        "clock-and-prune",
        [
            (EVENT_LOG, "_prune_part", prune_by_time),
            (SUBSCRIBERS, "events_after", without_a_look_at_holes),
            ("apps.realtime.pages", "pages_after", pages_without_a_look_at_holes),
        ],
    ),
    "keeps-its-epochs": Build(
        "new epochs after a restore",
        "restored",
        [("config.management.commands.renew_epochs", "epochs_renew", lambda: 0)],
    ),
    "ignores-revocations": Build(
        "the end of a subscription with the right to it",
        "revoked",
        [("apps.realtime.subscriptions:Subscriptions", "revoke", lambda *_: None)],
    ),
    "commits-in-memory": Build(
        "commits that are flushed to disk",
        "postgres-stopped",
        statement="ALTER DATABASE parley SET synchronous_commit = off",
    ),
    "enqueues-after-commit": Build(
        "jobs in the transaction of what they are for",
        "notifications",
        [("apps.posts.services", "jobs_enqueue", broken_jobs.enqueue_after_commit)],
    ),
    "forgets-checkpoints": Build(
        "checkpoints of steps, and uniqueness of notifications",
        "notifications",
        [("apps.jobs.steps", "job_advance", broken_jobs.advance_in_memory)],
        statement="ALTER TABLE notifications_notification DROP CONSTRAINT notification_once",
    ),
    "new-id-each-time": Build(
        "ids of mails that stay the same",
        "notifications",
        [("apps.notifications.tasks", "send", broken_jobs.send_with_a_new_id)],
    ),
    "ignores-preferences": Build(
        "a look at preferences",
        "notifications",
        [("apps.notifications.decisions", "_refusal", lambda _: None)],
    ),
    "keeps-lost-jobs": Build(
        "leases that end", "notifications", [("apps.jobs.leases", "LEASE_SECONDS", 3600)]
    ),
    "ignores-leases": Build(
        "the look at the lease of who writes to a job",
        "schedule",
        [("apps.jobs.services", "_update_held", broken_jobs.update_whoever_has_it)],
    ),
    "repeats-slots": Build(
        "uniqueness of slots",
        "schedule",
        [("apps.jobs.schedules", "Job", broken_jobs.NO_JOB)],
        statement="ALTER TABLE jobs_job DROP CONSTRAINT jobs_job_slot_key",
    ),
}
