"""Direct messages over websockets among 500 people: how many are stored and delivered, and how long
that takes."""

import gc
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench import pgbench
from bench.pgbench import Stored
from bench.report import Report, busy_since, median_of, percentile, processor_times
from bench.servers import Backend, Server, User, parley, same_uvicorn, start_backend
from bench.sockets import Crowd, allow_open_files

# Offered per second. Without a rate as many as possible are sent, with so many under way.
RATES = (300, 1_000, 1_250, 1_500, 2_000)
UNDER_WAY = 200
PEOPLE = pgbench.PEOPLE
SECONDS = 6
ROUNDS = 3
DRAIN_SECONDS = 20
CONTENT = "a message of forty characters or so, number"
# Each person has so many partners on either side of them.
NEIGHBOURS = 10
WARM_SECONDS = 12
# The same pairs in each run.
SEED = 1
CONNECTED = ((b'{"type":"connected"', ""),)

MESSAGES = "SELECT count(*) FROM chat_message"
CONVERSATIONS = "SELECT count(*) FROM chat_conversation"

# Who writes to whom, by their places among the people.
Pair = tuple[int, int]


def anyone(chance: random.Random) -> Pair:
    """Return two people at random. Most pairs write to each other for the first time."""
    sender, receiver = chance.sample(range(PEOPLE), 2)
    return sender, receiver


def partners(chance: random.Random) -> Pair:
    """Return somebody and one of their partners at random. After a while most of these have written
    to each other before."""
    sender = chance.randrange(PEOPLE)
    step = chance.randint(1, NEIGHBOURS) * chance.choice((1, -1))
    return sender, (sender + step) % PEOPLE


PAIRS: dict[str, Callable[[random.Random], Pair]] = {"anyone": anyone, "partners": partners}


@dataclass
class Offer:
    """The messages of one round, and when each was answered. Times are in seconds."""

    began: float
    sent: dict[int, float] = field(default_factory=dict)
    acked: dict[int, float] = field(default_factory=dict)
    delivered: dict[int, float] = field(default_factory=dict)
    refused: dict[int, float] = field(default_factory=dict)
    stored: int = 0
    # How many conversations began with one of them.
    begun: int = 0
    # How much later than due the generator sent its latest message.
    late: float = 0.0
    # The processor time of the server, and of the generator, in seconds.
    cpu: float = 0.0
    own_cpu: float = 0.0
    # The share of the machine's processor time that was in use.
    busy: float = 0.0

    @property
    def complete(self) -> bool:
        """Return whether every message was answered, and delivered unless it was refused."""
        answered = len(self.acked) + len(self.refused)
        return answered == len(self.sent) and len(self.delivered) >= len(self.acked)

    def per_second(self, count: int, arrivals: dict[int, float]) -> float:
        """Return the rate from the first message sent to the last arrival."""
        return count / (max(arrivals.values()) - self.began) if arrivals else 0.0

    def waits(self, arrivals: dict[int, float]) -> list[float]:
        """Return how long after its sending each of them arrived."""
        return [at - self.sent[number] for number, at in arrivals.items()]


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "messages",
        f"Direct messages over websockets among {PEOPLE} people, one web process",
        "2,000 per second, with delivery p99 at most 50 ms",
    )
    allow_open_files(4 * PEOPLE)
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend())
        users = backend.users(PEOPLE)
        server = stack.enter_context(parley(backend))
        crowd = stack.enter_context(Crowd(server.port))
        crowd.join([user.token for user in users], CONNECTED)
        report.versions["PostgreSQL"] = str(backend.query("SHOW server_version")).split()[0]
        setup = Setup(backend, server, crowd, users)
        warm_up(setup)
        introduce(setup)
        limit = limit_program(backend, report)
        hub = stack.enter_context(
            same_uvicorn("bench.bare_messages:application", backend.environment)
        )
        guests = stack.enter_context(Crowd(hub.port))
        guests.join([user.id for user in users])
        bare = Setup(backend, hub, guests, users)
        for rate in RATES:
            report.rows += compared(rate, setup, bare, limit)
            print(*report.rows[-4:], sep="\n", flush=True)
    report.notes += [
        f"Open loop: at fixed times one of {PEOPLE} people, chosen at random, writes to another, "
        f"whatever has come back until then. Medians of {ROUNDS} rounds of {SECONDS} s in turn.",
        "To anyone: the other is any of the others at random, so that many messages begin a "
        f"conversation. To partners: the other is one of {2 * NEIGHBOURS} whom each person writes "
        "to, at random, as in use; they have begun before. Begun says which share of the messages "
        "began a conversation.",
        "Stored is counted in the database; rates are from the first message sent to the last "
        "response. Latencies are in milliseconds from the sending, by the clock of the one process "
        "that holds all clients: ack is when the sender receives the ack, delivery when the "
        "receiver receives the frame.",
        "pgbench sends the statements of one message (bench/messages.sql) as one transaction, "
        f"prepared, over {pgbench.CLIENTS} connections, to the same server and database, offered "
        "at the same rate; its latency counts from when a message was due. Parley commits the "
        "messages that wait at the same time together, so it can be faster.",
        "The bare hub is an ASGI application on the same uvicorn that stores nothing: it sends "
        "each message to its receiver, and the ack to its sender (bench/bare_messages.py).",
        "PostgreSQL flushes every commit to disk. Clients, server and databases share the cores: "
        "cores busy is the share of all of them that was in use meanwhile. Clients' cpu is the "
        "processor time of the generator per message, and server cpu that of the server: with one "
        "core for itself, the server could carry one second divided by it.",
    ]
    return report


def limit_program(backend: Backend, report: Report) -> Path | None:
    """Return pgbench with its tables made; report it if there is no pgbench."""
    found = pgbench.program()
    if found is None:
        missing = "There is no pgbench on this machine: the figures stand WITHOUT THEIR LIMIT."
        print(f"== {missing}", flush=True)
        report.notes.append(missing)
        return None
    pgbench.prepare_messages(backend)
    return found


def compared(
    rate: int | None, setup: "Setup", bare: "Setup", limit: Path | None
) -> list[dict[str, Any]]:
    """Return the table's rows of one rate, measured in turn."""
    ours: dict[str, list[Offer]] = {to: [] for to in PAIRS}
    theirs, without = [], []
    for number in range(ROUNDS):
        name = f"{rate}-{number}"
        for to, offers in ours.items():
            offers.append(offer(setup, rate, SECONDS, f"{to}-{name}", to))
            # The server of a crowd that answers no ping for 40 seconds closes its sockets.
            bare.crowd.idle(0.2)
        if limit:
            theirs.append(
                pgbench.store_messages(limit, setup.backend, SECONDS, rate, others=PEOPLE - 1)
            )
        without.append(offer(bare, rate, SECONDS, name))
        setup.crowd.idle(0.2)
    return rows(rate, ours, theirs, without)


def warm_up(setup: "Setup") -> None:
    """Have the server open its connections and prepare its statements."""
    offer(setup, rate=200, seconds=2, name="warm")


def introduce(setup: "Setup") -> None:
    """Have the partners write to each other for the first time."""
    offer(setup, rate=None, seconds=WARM_SECONDS, name="introduced", to="partners")


@dataclass(frozen=True)
class Setup:
    """Where messages are sent, and the users whose sockets the crowd has, in this order."""

    backend: Backend
    server: Server
    crowd: Crowd
    users: list[User]


class Round:
    """Sends the messages of one round and records when each is answered."""

    def __init__(
        self, crowd: Crowd, users: list[User], rate: int | None, name: str, to: str
    ) -> None:
        self.result = Offer(began=time.perf_counter())
        self._crowd = crowd
        self._users = users
        self._random = random.Random(f"{SEED} {name}")
        self._rate = rate
        self._name = name
        self._pair = PAIRS[to]

    def run(self, seconds: float) -> Offer:
        """Send for so long, and wait until all have arrived or DRAIN_SECONDS are over.

        Without a rate the next message is sent when one is answered.
        """
        end = self.result.began + seconds
        if self._rate is None:
            for number in range(UNDER_WAY):
                self._send(number)
        while (now := time.perf_counter()) < end + DRAIN_SECONDS:
            if now < end:
                self._send_due(now)
            elif self.result.complete:
                break
            for _, text in self._crowd.poll(0.001):
                answered = self._record(orjson.loads(text))
                if answered and self._rate is None and now < end:
                    self._send(len(self.result.sent))
        return self.result

    def _send_due(self, now: float) -> None:
        while self._rate:
            late = now - (self.result.began + len(self.result.sent) / self._rate)
            if late < 0:
                break
            self.result.late = max(self.result.late, late)
            self._send(len(self.result.sent))

    def _send(self, number: int) -> None:
        sender, receiver = self._pair(self._random)
        mark = f"{self._name}-{number}"
        data = {
            "receiverId": self._users[receiver].id,
            "content": f"{CONTENT} {number}",
            "clientId": mark,
        }
        text = orjson.dumps({"type": "chat_message", "requestId": mark, "data": data}).decode()
        self.result.sent[number] = time.perf_counter()
        self._crowd.clients[sender].send(text)

    def _record(self, frame: dict[str, Any]) -> bool:
        """Record the arrival of a frame; return whether it answers a message of this round."""
        now = time.perf_counter()
        kind = frame["type"]
        mark = frame.get("requestId", "")
        if kind == "chat_message":
            mark = frame["data"]["message"]["clientId"]
        name, _, number = mark.rpartition("-")
        arrivals = {
            "chat_message": self.result.delivered,
            "ack": self.result.acked,
            "error": self.result.refused,
        }.get(kind)
        # It is of an earlier round, or for the other devices of the sender.
        if arrivals is None or name != self._name:
            return False
        arrivals[int(number)] = now
        return arrivals is not self.result.delivered


def offer(setup: Setup, rate: int | None, seconds: float, name: str, to: str = "anyone") -> Offer:
    """Return the outcome of so many messages per second, or of as many as possible, to those that
    PAIRS names."""
    stored, begun = setup.backend.query(MESSAGES), setup.backend.query(CONVERSATIONS)
    gc.collect()
    gc.disable()
    cpu, own_cpu, times = setup.server.cpu_seconds(), time.process_time(), processor_times()
    try:
        result = Round(setup.crowd, setup.users, rate, name, to).run(seconds)
    finally:
        gc.enable()
    result.busy = busy_since(times)
    result.cpu = setup.server.cpu_seconds() - cpu
    result.own_cpu = time.process_time() - own_cpu
    result.stored = setup.backend.query(MESSAGES) - stored
    result.begun = setup.backend.query(CONVERSATIONS) - begun
    return result


def rows(
    rate: int | None, ours: dict[str, list[Offer]], theirs: list[Stored], bare: list[Offer]
) -> list[dict[str, Any]]:
    """Return the table's rows of one rate."""
    found = [
        {
            "offered/s": rate or "as many as possible",
            "by": by,
            **(storing(offers) if offers is not bare else {}),
            "delivered/s": median_of(
                [one.per_second(len(one.delivered), one.delivered) for one in offers]
            ),
            **latencies("delivery", [one.waits(one.delivered) for one in offers]),
            **latencies("ack", [one.waits(one.acked) for one in offers]),
            "server cpu µs": median_of([one.cpu / max(len(one.acked), 1) * 1e6 for one in offers]),
            "clients' cpu µs": median_of(
                [one.own_cpu / max(len(one.acked), 1) * 1e6 for one in offers]
            ),
            "cores busy": f"{median_of([one.busy for one in offers]):.0%}",
            "refused or lost": sum(len(one.sent) - len(one.delivered) for one in offers),
            "sent late by": median_of([one.late * 1000 for one in offers]),
        }
        for by, offers in (
            *((f"Parley, to {to}", offers) for to, offers in ours.items()),
            ("bare hub", bare),
        )
    ]
    if theirs:
        found.append(
            {
                "offered/s": rate or "as many as possible",
                "by": "pgbench",
                "stored/s": median_of([one.per_second for one in theirs]),
                **latencies("ack", [one.took for one in theirs]),
            }
        )
    return found


def storing(offers: list[Offer]) -> dict[str, Any]:
    """Return the median rate of the rounds, and which share of the messages began a
    conversation."""
    return {
        "begun": f"{median_of([one.begun / max(one.stored, 1) for one in offers]):.0%}",
        "stored/s": median_of([one.per_second(one.stored, one.acked) for one in offers]),
    }


def latencies(what: str, rounds: list[list[float]]) -> dict[str, float]:
    """Return median and 99th percentile in milliseconds, each the median over the rounds."""
    return {
        f"{what} p50": median_of([percentile(waits, 0.5) * 1000 for waits in rounds]),
        f"{what} p99": median_of([percentile(waits, 0.99) * 1000 for waits in rounds]),
    }
