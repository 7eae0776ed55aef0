"""One repetition of an experiment: a cast under load, a fault and its end, and what holds then."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from testing.chaos.client import FAILED, Unanswered, call, fetch_messages
from testing.chaos.cluster import Cluster, Timeout, until
from testing.chaos.invariants import (
    EQUAL_SECONDS,
    READY_SECONDS,
    Violation,
    violations,
    within,
)
from testing.chaos.journal import Journal, Logged, Stored
from testing.chaos.people import PAUSE_SECONDS, Cast, Person
from testing.chaos.processes import Web
from testing.chaos.told import told_violations

# How long somebody goes on to try after the fault has ended.
ANSWERED_SECONDS = 30.0
# How much longer than clients may take to be equal it is waited, to say how late they are.
PATIENCE_SECONDS = 8.0


class Skipped(Exception):
    """The machine cannot do this experiment; the message says why."""


@dataclass
class Result:
    """What came of one repetition."""

    acknowledged: int
    violations: list[Violation]
    repairs: list[float]
    kills: int
    notes: list[str] = field(default_factory=list)


@dataclass
class Repetition:
    """What an experiment has at hand. `long` is whether it is the long run, `heartbeat` the seconds
    between two heartbeats, `lease` those for which a worker holds a job."""

    cluster: Cluster
    cast: Cast
    journal: Journal
    rng: random.Random
    crowd: list[dict[str, str]]
    long: bool
    heartbeat: float
    lease: float
    notes: list[str] = field(default_factory=list)
    found: list[Violation] = field(default_factory=list)
    # Another limit on how long the clients may take to be equal again.
    equal_seconds: float = EQUAL_SECONDS
    _healed_at: float = 0.0
    _loading: bool = False

    @property
    def webs(self) -> list[Web]:
        """Return the two web processes."""
        return self.cluster.webs

    @property
    def one(self) -> Web:
        """Return one of the web processes."""
        return self.rng.choice(self.webs)

    @asynccontextmanager
    async def load(self, seconds: float = 0.0) -> AsyncIterator[None]:
        """Have all of the cast act until the block has ended, so many seconds longer, and each of
        them until they are answered."""
        self._loading, self._healed_at = True, 0.0
        acting = [asyncio.create_task(self._act(person)) for person in self.cast.people]
        try:
            # Something has happened before the fault.
            await asyncio.sleep(0.7)
            yield
            await asyncio.sleep(seconds)
        finally:
            self._loading, self._healed_at = False, time.monotonic()
            await asyncio.gather(*acting)

    async def equal(self) -> None:
        """Wait until all clients have all there is; raises Timeout."""
        await until(self._equal, seconds=self._patience)

    @property
    def _patience(self) -> float:
        return max(self.equal_seconds, self.heartbeat) + PATIENCE_SECONDS

    async def _act(self, person: Person) -> None:
        while self._loading:
            await asyncio.sleep(self.rng.expovariate(1 / PAUSE_SECONDS))
            await self.cast.act(person, self._given_up)

    def _given_up(self) -> bool:
        return not self._loading and time.monotonic() > self._healed_at + ANSWERED_SECONDS

    # What holds in the end.

    async def settle(self) -> None:
        """Wait until the processes are ready and the clients equal, and note what is too late."""
        self._healed_at = self._healed_at or time.monotonic()
        try:
            await self.cluster.ready(seconds=READY_SECONDS)
        except Timeout as late:
            self.found.append(Violation("slow", f"not ready again: {late}"))
        began = time.monotonic()
        try:
            await until(self._equal, seconds=self._patience, pause=0.1)
        except Timeout:
            text = f"clients are not equal after {self._patience:.0f} s: {self._behind()[:3]}"
            self.found.append(Violation("slow", text))
        else:
            took = time.monotonic() - began
            self.found += within("clients are equal", took, self.equal_seconds)
        await self._read_what_is_stored()

    def check(self) -> Result:
        """Return the result."""
        acknowledged = sum(one.outcome == "ok" for one in self.journal.attempts.values())
        repairs = self.journal.repairs()
        found = [*self.found, *violations(self.journal), *told_violations(self.journal)]
        return Result(acknowledged, found, repairs, self.cluster.kills, self.notes)

    def _equal(self) -> bool:
        return not self._behind()

    def _behind(self) -> list[str]:
        """Return which devices are not at the heads of their streams."""
        streams = {name for device in self.journal.devices for name in tuple(device.parts)}
        heads = dict(
            self.cluster.query(
                "SELECT name, head FROM realtime_stream WHERE name = ANY(%s)", list(streams)
            )
        )
        return [
            f"{device.name} has {parts[-1].last} of {heads.get(stream, 0)} of {stream}"
            for device in self.journal.devices
            for stream, parts in tuple(device.parts.items())
            if parts
            and (device.name, stream) not in self.journal.revoked_at
            and parts[-1].last != heads.get(stream, 0)
        ]

    async def _read_what_is_stored(self) -> None:
        """Read from the database and over the API what there is now."""
        users = [person.id for person in self.cast.people]
        self.journal.stored = await asyncio.to_thread(self._stored, users)
        self.journal.log = await asyncio.to_thread(self._logged)
        for person in self.cast.people:
            await self._ask_api(person)

    async def _ask_api(self, person: Person) -> None:
        for web in self.webs:
            rows = await patiently(fetch_messages, web, person.headers)
            self.journal.shown[person.id] = {row["id"] for row in rows}
            asked = "/api/v1/messages/unread"
            answer = await patiently(call, web, "GET", asked, person.headers, None)
            direct = sum(row["receiverId"] == person.id and not row["readAt"] for row in rows)
            # Nobody reads what is sent to groups.
            to_group = sum(
                one.to in self.journal.members
                and person.id in self.journal.members[one.to]
                and one.sender != person.id
                for one in self.journal.stored
            )
            self.journal.unread[person.id] = (answer["data"]["total"], direct + to_group)

    def _stored(self, users: list[str]) -> list[Stored]:
        messages = self.cluster.query(
            "SELECT m.id::text, coalesce(client_id, ''), sender_id::text,"
            " (CASE WHEN c.kind = 'group' THEN c.id WHEN c.first_id = sender_id THEN c.second_id"
            " ELSE c.first_id END)::text, content, deleted_at IS NOT NULL"
            " FROM chat_message m JOIN chat_conversation c ON c.id = conversation_id"
            " WHERE sender_id = ANY(%s::uuid[])",
            users,
        )
        posts = self.cluster.query(
            "SELECT id::text, title, author_id::text, 'feed', content, false FROM posts_post"
            " WHERE author_id = ANY(%s::uuid[])",
            users,
        )
        return [Stored(*row) for row in (*messages, *posts)]

    def _logged(self) -> dict[str, list[Logged]]:
        first: dict[str, int] = {}
        for device in self.journal.devices:
            for name, parts in device.parts.items():
                if parts:
                    first[name] = min(parts[0].after, first.get(name, parts[0].after))
        rows = self.cluster.query(
            "SELECT stream, seq, type, coalesce(data->'message'->>'id', data->'post'->>'id',"
            " data->'notification'->>'id', data->>'messageId', '') FROM realtime_event"
            " JOIN unnest(%s::text[], %s::bigint[]) AS mine (name, after)"
            " ON stream = name AND seq > after ORDER BY stream, seq",
            list(first),
            list(first.values()),
        )
        found: dict[str, list[Logged]] = {name: [] for name in first}
        for stream, seq, kind, subject in rows:
            found[stream].append(Logged(seq, kind, subject))
        return found


async def patiently(read: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Return what a read returns, tried again for a while."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            return await read(*arguments)
        except (*FAILED, Unanswered):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.3)
