"""What one more process costs: the same messages through 1, 4 and 8 web processes."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import orjson

from bench.before import build_before
from bench.messages import CONNECTED, CONTENT
from bench.report import Report, Row, median_of, spread
from bench.servers import Backend, User, parley, start_backend
from bench.sockets import Client, Crowd, allow_open_files

# The last commit in which every process received every wake-up.
COMMIT = "bb039b8"
PROCESSES = (1, 4, 8)
PAIRS = 160
RATE = 200
WARM_SECONDS, SECONDS, ROUNDS = 3.0, 3.0, 5
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
            builds = {"Parley": backend} | ({"before": before} if before else {})
            for count in PROCESSES:
                report.rows += measure(builds, users, count)
                print(*report.rows[-2:], sep="\n", flush=True)
    report.notes += [
        f"{PAIRS} users send to {PAIRS} others, whose sockets are on the next process. Times are "
        "milliseconds of processor time a second, by the system's count, medians of "
        f"{ROUNDS} rounds of {SECONDS:.0f} s with the lowest and the highest.",
        "Each process is that of the mean over the processes with sockets; all is their sum. "
        "Without sockets is one more process, on the same Redis; idle is the same one while "
        "nobody sends anything.",
        f"Before is {COMMIT}, in which every process received every wake-up; its processes run at "
        "the same time, and both builds are measured in turn. More processes have "
        "fewer messages to commit together, so that all together take more in either build.",
        "Clients, servers and databases share the cores.",
    ]
    return report


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


class Side:
    """A build in so many processes with sockets and one without, and what was measured of them, in
    milliseconds of processor time a second."""

    def __init__(self, stack: ExitStack, build: Backend, users: Sequence[User], count: int) -> None:
        self.all: list[float] = []
        self.without_sockets: list[float] = []
        with ThreadPoolExecutor(count + 1) as pool:
            started = pool.map(lambda _: stack.enter_context(parley(build)), range(count + 1))
            *self._servers, self._empty = started
        self._crowds = [stack.enter_context(Crowd(server.port)) for server in self._servers]
        self._users = users

    def join(self) -> None:
        """Open the sockets. That comes after the start of all processes, which takes so long that
        sockets would miss their pings."""
        senders, receivers = self._users[:PAIRS], self._users[PAIRS:]
        count = len(self._crowds)
        for number, crowd in enumerate(self._crowds):
            crowd.join([one.token for one in senders[number::count]], CONNECTED)
        clients = [self._crowds[pair % count].clients[pair // count] for pair in range(PAIRS)]
        for number, crowd in enumerate(self._crowds):
            crowd.join([one.token for one in receivers[(number - 1) % count :: count]], CONNECTED)
        self.traffic = Traffic(self._crowds, clients, receivers)

    def measure(self) -> None:
        """Note what the processes take of a second while messages are sent."""
        before, empty_before = self._taken(), self._empty.cpu_seconds()
        began = time.perf_counter()
        self.traffic.run(SECONDS)
        seconds = time.perf_counter() - began
        self.all.append((self._taken() - before) * 1000 / seconds)
        self.without_sockets.append((self._empty.cpu_seconds() - empty_before) * 1000 / seconds)

    def idle(self) -> float:
        """Return what the process without sockets takes of a second while nobody sends anything."""
        before = self._empty.cpu_seconds()
        for crowd in self._crowds:
            crowd.idle(SECONDS / len(self._crowds))
        return (self._empty.cpu_seconds() - before) * 1000 / SECONDS

    def rest(self) -> None:
        """Receive what has arrived, so that no ping waits for its answer."""
        for crowd in self._crowds:
            crowd.idle(0.01)

    def _taken(self) -> float:
        return sum(server.cpu_seconds() for server in self._servers)


def measure(builds: Mapping[str, Backend], users: Sequence[User], count: int) -> list[Row]:
    """Return a row for each of the builds, measured in turn with so many processes."""
    with ExitStack() as stack:
        sides = {name: Side(stack, build, users, count) for name, build in builds.items()}
        for side in sides.values():
            side.join()
            # Until connections and conversations exist.
            side.traffic.run(WARM_SECONDS)
        for _ in range(ROUNDS):
            for side in sides.values():
                side.measure()
                for each in sides.values():
                    each.rest()
        return [row(name, count, side, side.idle()) for name, side in sides.items()]


def row(name: str, count: int, side: Side, idle: float) -> Row:
    """Return the row of the table."""
    return {
        "processes": count,
        "build": name,
        "each process": median_of(side.all) / count,
        "all": median_of(side.all),
        "all from..to": spread(side.all),
        "without sockets": median_of(side.without_sockets),
        "without sockets from..to": spread(side.without_sockets, 1),
        "idle": idle,
        "lost": side.traffic.lost,
    }
