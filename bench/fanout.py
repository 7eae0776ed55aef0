"""How long one event takes to reach all sockets of a process."""

import gc
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from statistics import fmean

from bench.report import Report, median_of, spread
from bench.servers import Backend, Server, User, parley, same_uvicorn, start_backend
from bench.sockets import Crowd, allow_open_files

SIZES = (1_000, 5_000)
ROUNDS = 11
SOCKETS_PER_USER = 10
# Far fewer than a user may write in a minute.
POSTS_PER_AUTHOR = 5
LONGEST = 30.0
EVENT = b'{"type":"post_published"'
SUBSCRIBE_TO_FEED = (
    (b'{"type":"connected"', json.dumps({"type": "subscribe", "data": {"stream": "feed"}})),
    (b'{"type":"subscribed"', ""),
)
POST = {
    "title": "A post for all subscribers",
    "content": "Parley is a place to write and to talk. " * 10,
    "status": "published",
}


@dataclass(frozen=True)
class FanOut:
    """When the frames of one event arrived, in seconds after its request was sent."""

    first: float
    last: float
    # The processor time of the clients between the first and the last frame. They share the cores.
    client: float
    # The processor time of the server, from the request on.
    server: float
    text: bytes

    @property
    def between(self) -> float:
        """Return the seconds from the first socket to the last."""
        return self.last - self.first


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "fanout",
        "Fan-out: one event to all sockets of one process",
        "first to last frame at most 1.3 x that of the bare hub",
    )
    largest = max(SIZES)
    allowed = allow_open_files(2 * largest + 500)
    if allowed < 2 * largest + 100:
        report.notes.append(f"Only {allowed} files may be open here; fewer sockets were measured.")
        largest = (allowed - 100) // 2
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend())
        users = backend.users(largest // SOCKETS_PER_USER)
        ours = stack.enter_context(parley(backend))
        bare = stack.enter_context(same_uvicorn("bench.bare_hub:application", backend.environment))
        our_crowd = stack.enter_context(Crowd(ours.port))
        bare_crowd = stack.enter_context(Crowd(bare.port))
        authors = Authors(backend)
        for size in sorted({min(size, largest) for size in SIZES}):
            began = time.monotonic()
            our_crowd.join(tokens_for(users, len(our_crowd.clients), size), SUBSCRIBE_TO_FEED)
            rate = len(our_crowd.clients) / (time.monotonic() - began)
            bare_crowd.join([""] * (size - len(bare_crowd.clients)))
            print(f"{size} sockets on each, ours connected {rate:.0f}/s", flush=True)
            pairs = []
            for _ in range(ROUNDS):
                one = fan_out(our_crowd, bare_crowd, ours, "/api/v1/posts", *authors.post())
                other = fan_out(bare_crowd, our_crowd, bare, "/", one.text, {})
                pairs.append((one, other))
            # The first pair finds code and memory cold on both sides.
            report.rows += rows(size, [a for a, _ in pairs[1:]], [b for _, b in pairs[1:]])
    report.notes += [
        f"Medians of {ROUNDS - 1} events each, sent in turn to both servers; the other server "
        "holds idle sockets meanwhile. The clients measure the times, in milliseconds.",
        "Bare is an ASGI application without Django and Channels that awaits send() for one socket "
        "after the other, with the same uvicorn, protocol class, settings and frame.",
        "From request includes the work before the fan-out: for Parley authentication, the "
        "transaction with its flush to disk and the event log; for the bare hub nothing.",
        "Clients are raw sockets in one other process; server, clients and databases share the "
        "cores. Clients busy is the share of one core that this process takes from first to last.",
    ]
    return report


class Authors:
    """Users who write a few posts each."""

    def __init__(self, backend: Backend) -> None:
        self._users = backend.users(1 + len(SIZES) * ROUNDS // POSTS_PER_AUTHOR)
        self._written = 0

    def post(self) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers of a request that publishes a post."""
        author = self._users[self._written // POSTS_PER_AUTHOR]
        self._written += 1
        headers = {"Authorization": f"Bearer {author.token}", "Content-Type": "application/json"}
        return json.dumps(POST).encode(), headers


def tokens_for(users: Sequence[User], start: int, end: int) -> list[str]:
    """Return the tokens of the sockets from one number to another, ten for each user."""
    return [users[n // SOCKETS_PER_USER].token for n in range(start, end)]


def fan_out(
    crowd: Crowd, other: Crowd, server: Server, path: str, body: bytes, headers: dict[str, str]
) -> FanOut:
    """Send the request, and measure until its event has reached every socket of the crowd."""
    # Both crowds answer the pings that have arrived in the meantime.
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
                raise TimeoutError(f"{arrived} of {len(crowd.clients)} sockets received the event.")
        last = time.perf_counter()
        client = time.process_time() - client
    finally:
        gc.enable()
    status = connection.getresponse().status
    connection.close()
    cpu = server.cpu_seconds() - before
    if status != 201:
        raise RuntimeError(f"{path} answered {status}.")
    return FanOut(first - began, last - began, client, cpu, text)


def rows(size: int, ours: Sequence[FanOut], bare: Sequence[FanOut]) -> list[dict[str, object]]:
    """Return the table's rows of one number of sockets."""
    found: list[dict[str, object]] = []
    for name, fan_outs in (("Parley", ours), ("bare", bare)):
        between = [one.between * 1000 for one in fan_outs]
        found.append(
            {
                "sockets": size,
                "server": name,
                "first to last": median_of(between),
                "from..to": spread(between),
                "to first": median_of([one.first * 1000 for one in fan_outs]),
                "from request": median_of([one.last * 1000 for one in fan_outs]),
                # The system counts in steps of 10 ms, so only the mean is meaningful.
                "server cpu": fmean(one.server * 1000 for one in fan_outs),
                "frame bytes": len(fan_outs[-1].text),
                "clients busy": median_of([one.client / one.between for one in fan_outs]),
            }
        )
    for column in ("first to last", "from request"):
        mine, limit = found[0][column], found[1][column]
        assert isinstance(mine, float)
        assert isinstance(limit, float)
        found[0][f"{column} / bare"] = mine / limit
    return found
