"""How long one event takes to reach all sockets of a process."""

import gc
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from statistics import fmean

from bench.report import Report, middle, spread
from bench.servers import Backend, Person, Server, backend, parley, same_uvicorn
from bench.sockets import Crowd, allow_open_files

SIZES = (1_000, 5_000)
ROUNDS = 11
SOCKETS_PER_PERSON = 10
# A person may write so many posts a minute; nobody here comes near.
POSTS_PER_AUTHOR = 5
LONGEST = 30.0
EVENT = b'{"type":"post_published"'
FOLLOW_FEED = (
    (b'{"type":"connected"', json.dumps({"type": "subscribe", "data": {"stream": "feed"}})),
    (b'{"type":"subscribed"', ""),
)
POST = {
    "title": "What everybody hears of",
    "content": "Parley is a place to write and to talk. " * 10,
    "status": "published",
}


@dataclass(frozen=True)
class Race:
    """When the frames of one event arrived, in seconds after its request was sent."""

    first: float
    last: float
    # The processor time of the clients between the two, which shares the machine with the server.
    client: float
    # That of the server, from the request on.
    server: float
    text: bytes

    @property
    def between(self) -> float:
        """Return the fan-out proper: from the first socket to the last."""
        return self.last - self.first


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "fanout",
        "Fan-out: one event to all sockets of one process",
        "first to last frame at most 1.3 x the bare hub's",
    )
    largest = max(SIZES)
    allowed = allow_open_files(2 * largest + 500)
    if allowed < 2 * largest + 100:
        report.notes.append(f"Only {allowed} files may be open here; fewer sockets were measured.")
        largest = (allowed - 100) // 2
    with ExitStack() as stack:
        behind = stack.enter_context(backend())
        people = behind.people(largest // SOCKETS_PER_PERSON)
        ours = stack.enter_context(parley(behind))
        bare = stack.enter_context(same_uvicorn("bench.bare_hub:application", behind.environment))
        our_crowd = stack.enter_context(Crowd(ours.port))
        bare_crowd = stack.enter_context(Crowd(bare.port))
        authors = Authors(behind)
        for size in sorted({min(size, largest) for size in SIZES}):
            began = time.monotonic()
            our_crowd.join(tokens_for(people, len(our_crowd.clients), size), FOLLOW_FEED)
            rate = len(our_crowd.clients) / (time.monotonic() - began)
            bare_crowd.join([""] * (size - len(bare_crowd.clients)))
            print(f"{size} sockets on each, ours connected {rate:.0f}/s", flush=True)
            pairs = []
            for _ in range(ROUNDS):
                one = race(our_crowd, bare_crowd, ours, "/api/v1/posts", *authors.post())
                other = race(bare_crowd, our_crowd, bare, "/", one.text, {})
                pairs.append((one, other))
            # The first pair finds code and memory cold on both sides.
            report.rows += rows(size, [a for a, _ in pairs[1:]], [b for _, b in pairs[1:]])
    report.notes += [
        f"Medians of {ROUNDS - 1} events each, sent in turns to both servers, of which the other "
        "holds its sockets idle meanwhile. Times are those of the clients, in milliseconds.",
        "Bare is an ASGI application without Django and Channels that awaits send() for one socket "
        "after the other: same uvicorn, protocol class, settings and bytes of the frame.",
        "From request counts what lies before the fan-out too: for Parley authentication, the "
        "transaction with its flush to disk and the event log; for the bare hub nothing.",
        "Clients are raw sockets in one other process; server, clients and databases share the "
        "cores. Clients busy is that process's share of one core between first and last.",
    ]
    return report


class Authors:
    """People who write, few posts each."""

    def __init__(self, behind: Backend) -> None:
        self._people = behind.people(1 + len(SIZES) * ROUNDS // POSTS_PER_AUTHOR)
        self._written = 0

    def post(self) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers of a request that publishes a post."""
        author = self._people[self._written // POSTS_PER_AUTHOR]
        self._written += 1
        headers = {"Authorization": f"Bearer {author.token}", "Content-Type": "application/json"}
        return json.dumps(POST).encode(), headers


def tokens_for(people: Sequence[Person], start: int, end: int) -> list[str]:
    """Return the tokens of the sockets from one number to another, ten for each person."""
    return [people[n // SOCKETS_PER_PERSON].token for n in range(start, end)]


def race(
    crowd: Crowd, other: Crowd, server: Server, path: str, body: bytes, headers: dict[str, str]
) -> Race:
    """Send the request, and see when its event has reached every socket of the crowd."""
    # Both answer the pings that have come in the meantime.
    crowd.idle(0.1)
    other.idle(0.1)
    connection = HTTPConnection("127.0.0.1", server.port, timeout=LONGEST)
    connection.connect()
    arrived = 0
    first = client = 0.0
    text = b""
    before = server.cpu_seconds()
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        connection.request("POST", path, body, headers)
        while arrived < len(crowd.clients):
            for _, text in crowd.poll(1):
                if text.startswith(EVENT):
                    arrived += 1
                    if arrived == 1:
                        first, client = time.perf_counter(), time.process_time()
            if time.perf_counter() - began > LONGEST:
                raise TimeoutError(f"{arrived} of {len(crowd.clients)} sockets got the event.")
        last = time.perf_counter()
        client = time.process_time() - client
    finally:
        gc.enable()
    status = connection.getresponse().status
    connection.close()
    cpu = server.cpu_seconds() - before
    if status != 201:
        raise RuntimeError(f"{path} answered {status}.")
    return Race(first - began, last - began, client, cpu, text)


def rows(size: int, ours: Sequence[Race], bare: Sequence[Race]) -> list[dict[str, object]]:
    """Return the table's rows of one number of sockets."""
    found: list[dict[str, object]] = []
    for name, races in (("Parley", ours), ("bare", bare)):
        between = [one.between * 1000 for one in races]
        found.append(
            {
                "sockets": size,
                "server": name,
                "first to last": middle(between),
                "from..to": spread(between),
                "to first": middle([one.first * 1000 for one in races]),
                "from request": middle([one.last * 1000 for one in races]),
                # The system counts in steps of 10 ms, so that only their mean says something.
                "server cpu": fmean(one.server * 1000 for one in races),
                "frame bytes": len(races[-1].text),
                "clients busy": middle([one.client / one.between for one in races]),
            }
        )
    for column in ("first to last", "from request"):
        mine, limit = found[0][column], found[1][column]
        assert isinstance(mine, float)
        assert isinstance(limit, float)
        found[0][f"{column} / bare"] = mine / limit
    return found
