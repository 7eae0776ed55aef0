"""Direct messages over websockets: how many are stored and delivered, and after how long."""

import gc
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench import pgbench
from bench.pgbench import Stored
from bench.report import Report, middle, percentile
from bench.servers import Backend, Person, Server, backend, parley
from bench.sockets import Crowd, allow_open_files

# Offered per second; None is as many as go, every sender with one message under way.
RATES = (100, 300, 1_000, None)
PAIRS = 200
SECONDS = 6
ROUNDS = 3
DRAIN_SECONDS = 20
CONTENT = "a message of forty characters or so, number"
CONNECTED = ((b'{"type":"connected"', ""),)


@dataclass
class Offer:
    """What became of the messages of one round. Latencies are in seconds."""

    began: float
    sent: dict[int, float] = field(default_factory=dict)
    acked: dict[int, float] = field(default_factory=dict)
    delivered: dict[int, float] = field(default_factory=dict)
    refused: dict[int, float] = field(default_factory=dict)
    stored: int = 0
    # How much later than due the generator sent its latest message.
    late: float = 0.0
    # Of the server's processor time, in seconds.
    cpu: float = 0.0

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
        "Direct messages over websockets, one web process",
        "figures as they are, beside pgbench with the same statements",
    )
    allow_open_files(4 * PAIRS)
    with ExitStack() as stack:
        behind = stack.enter_context(backend())
        people = behind.people(2 * PAIRS)
        server = stack.enter_context(parley(behind))
        crowd = stack.enter_context(Crowd(server.port))
        crowd.join([person.token for person in people], CONNECTED)
        report.versions["PostgreSQL"] = str(behind.ask("SHOW server_version")).split()[0]
        # The first messages make the conversations, and warm up what is cold.
        place = Place(behind, server, crowd, people)
        offer(place, rate=PAIRS, seconds=2, name="warm")
        limit = limit_program(behind, report)
        for rate in RATES:
            ours, theirs = [], []
            for number in range(ROUNDS):
                ours.append(offer(place, rate, SECONDS, f"{rate}-{number}"))
                if limit:
                    theirs.append(pgbench.store(limit, behind, SECONDS, rate))
                crowd.idle(0.2)
            report.rows += rows(rate, ours, theirs)
            print(*report.rows[-2:], sep="\n", flush=True)
    report.notes += [
        f"Open loop: {PAIRS} people send to {PAIRS} others at fixed times, whatever has come back "
        "until then; beside the last rate, each sends his next message when the last one is safe. "
        f"Medians of {ROUNDS} rounds of {SECONDS} s in turns with pgbench.",
        "Stored is counted in the database; rates are from the first message sent to the last "
        "answer. Latencies are in milliseconds from the sending, by the clock of the one process "
        "that holds all clients: ack when the sender is told that the message is safe, delivery "
        "when the receiver has its frame.",
        "pgbench sends the statements of one message (bench/messages.sql) as one transaction, "
        f"prepared, over {pgbench.CLIENTS} connections, to the same server and database, offered "
        "at the same rate; its latency counts from when a message was due. Parley commits the "
        "messages that wait at one moment together, so it could pass that.",
        "PostgreSQL flushes every commit to disk. Clients, server and databases share the cores.",
    ]
    return report


def limit_program(behind: Backend, report: Report) -> Path | None:
    """Return pgbench with its tables made; without it say so, loudly."""
    found = pgbench.program()
    if found is None:
        missing = "There is no pgbench on this machine: the figures stand WITHOUT THEIR LIMIT."
        print(f"== {missing}", flush=True)
        report.notes.append(missing)
        return None
    pgbench.prepare(behind)
    return found


@dataclass(frozen=True)
class Place:
    """Where the messages are sent: the first half of the people to the second."""

    behind: Backend
    server: Server
    crowd: Crowd
    people: list[Person]


class Round:
    """Sends the messages of one round and takes down what becomes of them."""

    def __init__(self, crowd: Crowd, people: list[Person], rate: int | None, name: str) -> None:
        self.result = Offer(began=time.perf_counter())
        self._crowd = crowd
        self._receivers = people[PAIRS:]
        self._rate = rate
        self._name = name

    def run(self, seconds: float) -> Offer:
        """Send for so long and wait until all have arrived, within bounds.

        At no rate every sender sends his next message when he has been answered.
        """
        end = self.result.began + seconds
        if self._rate is None:
            for number in range(PAIRS):
                self._send(number)
        while (now := time.perf_counter()) < end + DRAIN_SECONDS:
            if now < end:
                self._send_what_is_due(now)
            elif self.result.complete:
                break
            for _, text in self._crowd.poll(0.001):
                answered = self._note(orjson.loads(text))
                if answered is not None and self._rate is None and now < end:
                    self._send(answered + PAIRS)
        return self.result

    def _send_what_is_due(self, now: float) -> None:
        while self._rate:
            late = now - (self.result.began + len(self.result.sent) / self._rate)
            if late < 0:
                break
            self.result.late = max(self.result.late, late)
            self._send(len(self.result.sent))

    def _send(self, number: int) -> None:
        pair, mark = number % PAIRS, f"{self._name}-{number}"
        data = {
            "receiverId": self._receivers[pair].id,
            "content": f"{CONTENT} {number}",
            "clientId": mark,
        }
        text = orjson.dumps({"type": "chat_message", "requestId": mark, "data": data}).decode()
        self.result.sent[number] = time.perf_counter()
        self._crowd.clients[pair].say(text)

    def _note(self, told: dict[str, Any]) -> int | None:
        """Take down what a frame tells; return the number of a message that was answered."""
        now = time.perf_counter()
        kind = told["type"]
        mark = told.get("requestId", "")
        if kind == "chat_message":
            mark = told["data"]["message"]["clientId"]
        name, _, number = mark.rpartition("-")
        arrivals = {
            "chat_message": self.result.delivered,
            "ack": self.result.acked,
            "error": self.result.refused,
        }.get(kind)
        # What is left of an earlier round, or is news to the sender's other devices.
        if arrivals is None or name != self._name:
            return None
        arrivals[int(number)] = now
        return None if kind == "chat_message" else int(number)


def offer(place: Place, rate: int | None, seconds: float, name: str) -> Offer:
    """Return what becomes of so many messages per second, or of as many as go."""
    count = "SELECT count(*) FROM chat_message"
    before, cpu = place.behind.ask(count), place.server.cpu_seconds()
    gc.collect()
    gc.disable()
    try:
        result = Round(place.crowd, place.people, rate, name).run(seconds)
    finally:
        gc.enable()
    result.stored = place.behind.ask(count) - before
    result.cpu = place.server.cpu_seconds() - cpu
    return result


def rows(rate: int | None, ours: list[Offer], theirs: list[Stored]) -> list[dict[str, Any]]:
    """Return the table's rows of one rate."""
    found = [
        {
            "offered/s": rate or "all that go",
            "by": "Parley",
            "stored/s": middle([one.per_second(one.stored, one.acked) for one in ours]),
            "delivered/s": middle(
                [one.per_second(len(one.delivered), one.delivered) for one in ours]
            ),
            **latencies("delivery", [one.waits(one.delivered) for one in ours]),
            **latencies("ack", [one.waits(one.acked) for one in ours]),
            "server cpu µs": middle([one.cpu / max(one.stored, 1) * 1e6 for one in ours]),
            "refused or lost": sum(len(one.sent) - len(one.delivered) for one in ours),
            "sent late by": middle([one.late * 1000 for one in ours]),
        }
    ]
    if theirs:
        found.append(
            {
                "offered/s": rate or "all that go",
                "by": "pgbench",
                "stored/s": middle([one.per_second for one in theirs]),
                **latencies("ack", [one.took for one in theirs]),
            }
        )
    return found


def latencies(what: str, rounds: list[list[float]]) -> dict[str, float]:
    """Return median and 99th percentile in milliseconds, each the median over the rounds."""
    return {
        f"{what} p50": middle([percentile(waits, 0.5) * 1000 for waits in rounds]),
        f"{what} p99": middle([percentile(waits, 0.99) * 1000 for waits in rounds]),
    }
