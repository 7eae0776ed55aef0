"""What one more process costs: the same messages through 1, 4 and 8 web processes."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import orjson

from bench.before import build_before
from bench.messages import CONNECTED, CONTENT
from bench.report import Report, Row, median_of, spread
from bench.servers import Backend, Server, User, parley, start_backend
from bench.sockets import Client, Crowd, allow_open_files

# The last commit in which every process received every wake-up.
COMMIT = "bb039b8"
PROCESSES = (1, 4, 8)
PAIRS = 160
RATE = 200
WARM_SECONDS, SECONDS, ROUNDS = 3.0, 4.0, 3
DRAIN_SECONDS = 10.0
MESSAGE = b'{"type":"chat_message",'


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "growth",
        f"{RATE} messages a second through more and more processes",
        "the processor time of a process follows its own sockets: one more process without sockets "
        "takes what it takes when nothing happens",
    )
    allow_open_files(4_096)
    with start_backend() as backend:
        users = backend.users(2 * PAIRS)
        with build_before(backend, COMMIT) as before:
            for count in PROCESSES:
                for name, build in (("Parley", backend), ("before", before)):
                    if build is not None:
                        report.rows.append(row(name, count, measure(build, users, count)))
                        print(report.rows[-1], flush=True)
    report.notes += [
        f"{PAIRS} users send to {PAIRS} others, whose sockets are on the next process. Times are "
        "milliseconds of processor time a second, by the system's count, medians of "
        f"{ROUNDS} rounds of {SECONDS:.0f} s with the lowest and the highest.",
        "Each process is that of the mean over the processes with sockets; all is their sum. "
        "Without sockets is one more process, on the same Redis; idle is the same one while "
        "nobody sends anything.",
        f"Before is {COMMIT}, in which every process received every wake-up. More processes have "
        "fewer messages to commit together, so that all together take more in either build.",
        "Clients, servers and databases share the cores.",
    ]
    return report


@dataclass(frozen=True)
class Measured:
    """Milliseconds of processor time a second in each round: of all processes with sockets, and of
    the one without any."""

    all: list[float]
    without_sockets: list[float]
    idle: float
    lost: int


class Traffic:
    """Messages from each sender to the receiver of their pair, at a fixed rate."""

    def __init__(
        self, crowds: Sequence[Crowd], senders: Sequence[Client], receivers: Sequence[User]
    ) -> None:
        self.lost = 0
        self._crowds = crowds
        self._senders = senders
        self._receivers = receivers
        self._sent = 0

    def run(self, seconds: float) -> None:
        """Send for so long, and wait until all has arrived or DRAIN_SECONDS are over."""
        began, first, arrived = time.perf_counter(), self._sent, 0
        end = began + seconds
        while (now := time.perf_counter()) < end + DRAIN_SECONDS:
            while now < end and self._sent - first < (now - began) * RATE:
                self._send()
            arrived += sum(self._arrived(crowd) for crowd in self._crowds)
            if now >= end and first + arrived >= self._sent:
                break
        self.lost += self._sent - first - arrived

    def _send(self) -> None:
        pair = self._sent % PAIRS
        data = {
            "receiverId": self._receivers[pair].id,
            "content": f"{CONTENT} {self._sent}",
            "clientId": f"{len(self._crowds)}-{self._sent}",
        }
        self._senders[pair].send(orjson.dumps({"type": "chat_message", "data": data}).decode())
        self._sent += 1

    def _arrived(self, crowd: Crowd) -> int:
        return sum(text.startswith(MESSAGE) for _, text in crowd.poll(0.001))


def measure(backend: Backend, users: Sequence[User], count: int) -> Measured:
    """Measure with so many processes with sockets, and one without."""
    with ExitStack() as stack:
        *servers, empty = (stack.enter_context(parley(backend)) for _ in range(count + 1))
        crowds = [stack.enter_context(Crowd(server.port)) for server in servers]
        senders, receivers = users[:PAIRS], users[PAIRS:]
        for number, crowd in enumerate(crowds):
            crowd.join([one.token for one in senders[number::count]], CONNECTED)
        clients = [crowds[pair % count].clients[pair // count] for pair in range(PAIRS)]
        for number, crowd in enumerate(crowds):
            crowd.join([one.token for one in receivers[(number - 1) % count :: count]], CONNECTED)
        traffic = Traffic(crowds, clients, receivers)
        # Until connections and conversations exist.
        traffic.run(WARM_SECONDS)
        rounds = [taken(traffic, servers, empty) for _ in range(ROUNDS)]
        before = empty.cpu_seconds()
        for crowd in crowds:
            crowd.idle(SECONDS / count)
        idle = (empty.cpu_seconds() - before) * 1000 / SECONDS
    return Measured([one for one, _ in rounds], [one for _, one in rounds], idle, traffic.lost)


def taken(traffic: Traffic, servers: Sequence[Server], empty: Server) -> tuple[float, float]:
    """Return what the servers, and the one without sockets, take of a second in one round."""
    before, empty_before = sum(one.cpu_seconds() for one in servers), empty.cpu_seconds()
    began = time.perf_counter()
    traffic.run(SECONDS)
    seconds = time.perf_counter() - began
    all_of_them = sum(one.cpu_seconds() for one in servers) - before
    return (
        all_of_them * 1000 / seconds,
        (empty.cpu_seconds() - empty_before) * 1000 / seconds,
    )


def row(name: str, count: int, measured: Measured) -> Row:
    """Return the row of the table."""
    return {
        "processes": count,
        "build": name,
        "each process": median_of(measured.all) / count,
        "all": median_of(measured.all),
        "all from..to": spread(measured.all),
        "without sockets": median_of(measured.without_sockets),
        "without sockets from..to": spread(measured.without_sockets, 1),
        "idle": measured.idle,
        "lost": measured.lost,
    }
