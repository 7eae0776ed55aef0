"""What lists, counts and sends cost a user with many conversations: python -m bench.memberships.

On PostgreSQL and SQLite, for docs/decisions/0026-memberships.md. Figures are medians of many calls
of services and selectors in one process, in milliseconds: the whole call and the database's part.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import django

from bench.durability import start_sqlite_backend
from bench.servers import ROOT, start_backend

SIZES = (1_000, 10_000)
# As many as a user may be in.
GROUPS = 500
PER_CONVERSATION = 3
LONG = 5_000
CALLS = 100


def main() -> None:
    """Measure on both databases, with a new database for each size."""
    for size in SIZES:
        with start_backend() as postgres:
            run_child("PostgreSQL", size, dict(postgres.environment))
        with start_sqlite_backend("FULL") as sqlite:
            run_child("SQLite", size, dict(sqlite.environment))


def run_child(name: str, size: int, environment: dict[str, str]) -> None:
    """Measure in a process with this environment, which prints the figures."""
    print(f"== {size} conversations on {name}", flush=True)
    command = [sys.executable, "-m", "bench.memberships", str(size)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True)


def measure(size: int) -> None:
    """Make a user with so many conversations, and print how long each call takes."""
    from apps.accounts.models import User
    from apps.chat import receipts, selectors, services
    from apps.chat.groups import group_create
    from apps.chat.models import Conversation
    from apps.chat.services import Draft, message_send
    from apps.core.http.pagination import paginate

    def users(count: int) -> list[User]:
        first = User.objects.count()
        return User.objects.bulk_create(
            User(name=f"User {n}", email=f"user{n}@example.com")
            for n in range(first, first + count)
        )

    [hub] = users(1)
    friends = users(size - GROUPS)
    few = users(2)
    groups = [group_create(one, title="Crew", member_ids=[hub.pk]) for one in few * (GROUPS // 2)]
    crowd = group_create(few[0], title="All", member_ids=[one.pk for one in friends[:499]])
    send_in_all(hub, friends, groups)
    send_many(hub, friends[0])
    read_all_but_some(hub)
    vacuum()

    def page(depth: float) -> Callable[[], object]:
        listed = selectors.direct_memberships(hub)
        cursor = ""
        if depth:
            middle = paginate(listed, {"page": int(len(friends) * depth / 10), "limit": 10})
            cursor = middle.pagination["nextCursor"]
        return lambda: selectors.conversations_shown(
            hub, paginate(selectors.direct_memberships(hub), {"cursor": cursor}).rows
        )

    direct = Conversation.objects.between(hub.pk, friends[0].pk).get()
    friend = friends[1].pk

    def read_one() -> float:
        sent = message_send(Draft(friend, hub.pk, "Ahoy"))
        return timed(lambda: receipts.messages_mark_read(hub.pk, message_ids=[sent.message.pk]))

    show("direct conversations, first 10", page(0))
    show("direct conversations, 10 from the middle", page(0.5))
    show("both kinds, latest 10", lambda: selectors.memberships_latest(hub, limit=10))
    show("unread totals", lambda: selectors.unread_counts(hub))
    history = selectors.messages_with(hub, friends[0].pk)
    show("history, latest 50 of 5,000", lambda: selectors.messages_shown(history.all()[:50]))
    old = history.filter(seq__lt=direct.last_seq // 2)
    show("history, 50 from the middle", lambda: selectors.messages_shown(old.all()[:50]))
    show("send to one", lambda: message_send(Draft(hub.pk, friend, "Ahoy")))
    to_crowd = Draft(few[0].pk, None, "Ahoy", conversation_id=crowd.pk)
    show("send to 500", lambda: message_send(to_crowd))
    many = [Draft(hub.pk, one.pk, "Ahoy") for one in friends[:200]]
    show("send 200 in one commit", lambda: services.messages_send(many), calls=10)
    seconds = [read_one() for _ in range(CALLS)]
    print(f"{'read one':44}{median(seconds) * 1000:8.2f}", flush=True)


def send_in_all(hub: Any, friends: Sequence[Any], groups: Sequence[Any]) -> None:
    """Send messages in each of the conversations, in turn."""
    from apps.chat.services import Draft, messages_send

    drafts = []
    for number in range(PER_CONVERSATION):
        for friend in friends:
            pair = (hub.pk, friend.pk) if number % 2 else (friend.pk, hub.pk)
            drafts.append(Draft(*pair, f"Ahoy {number}"))
        drafts += [
            Draft(hub.pk, None, f"Ahoy {number}", conversation_id=group.pk) for group in groups
        ]
    for start in range(0, len(drafts), 200):
        messages_send(drafts[start : start + 200])


def send_many(one: Any, other: Any) -> None:
    """Send very many messages between two users."""
    from apps.chat.services import Draft, messages_send

    turns = [Draft(one.pk, other.pk, "Ahoy"), Draft(other.pk, one.pk, "Ahoy")]
    for _ in range(LONG // 200):
        messages_send(turns * 100)


def read_all_but_some(reader: Any) -> None:
    """Mark all messages to a user as read, except in fifty conversations."""
    from apps.chat.receipts import messages_mark_read
    from apps.chat.selectors import memberships_with_unread

    unread = list(memberships_with_unread(reader).values_list("conversation", flat=True))
    for conversation in unread[50:]:
        messages_mark_read(reader.pk, conversation_id=conversation, up_to=10**9)


def vacuum() -> None:
    """Update the statistics of the database's planner."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")


def timed(call: Callable[[], object]) -> float:
    """Return the seconds that the call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def show(name: str, call: Callable[[], object], calls: int = CALLS) -> None:
    """Print how long a call takes, and how much of that the database takes."""
    from django.db import connection

    spent = [0.0]

    def clock(execute: Any, *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            spent[0] += time.perf_counter() - began

    for _ in range(5):
        call()
    whole, database = [], []
    for _ in range(calls):
        spent[0] = 0.0
        with connection.execute_wrapper(clock):
            whole.append(timed(call))
        database.append(spent[0])
    print(f"{name:44}{median(whole) * 1000:8.2f}{median(database) * 1000:8.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        django.setup()
        measure(int(sys.argv[1]))
