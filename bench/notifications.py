"""A post of an author with 10,000 followers: its request, when all are told, and what others notice
meanwhile."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPConnection

from bench.load import UNIQUE, Load, request
from bench.messages import CONNECTED, PEOPLE, Offer, Setup, offer, warm_up
from bench.report import Report, Row, compared, median_of, percentile
from bench.servers import Backend, Process, Server, User, parley, start_backend, worker
from bench.sockets import Client, Crowd, allow_open_files
from bench.turns import ROUNDS as TURNS
from bench.turns import in_turn, side

SETTINGS = "bench.settings"
FOLLOWERS, WITH_SOCKETS = 10_000, 100
ROUNDS = 3
# Direct messages a second, in offers of so many seconds.
RATE, SECONDS = 100, 2
# Quiet ones before each post, since to tell all takes about as long.
QUIET = 3
# What measures the requests that publish.
CONNECTIONS, PUBLISHED_SECONDS = 4, 2
PATIENCE = 120.0
TOLD = b'{"type":"notification"'
POST = {
    "title": f"A post for all followers {UNIQUE.decode()}",
    "content": "Parley is a place to write and to talk. " * 10,
    "status": "published",
}
FOLLOW = """
    INSERT INTO accounts_follow (id, follower_id, followed_id, created_at)
    SELECT gen_random_uuid(), id, '{author}', now() FROM accounts_user WHERE email = ANY('{emails}')
"""
ENDED = """
    SELECT extract(epoch FROM finished_at)::float FROM jobs_job
    WHERE task LIKE '%tell_followers' AND arguments->'args'->>0 = '{post}'
"""
ROWS = "SELECT count(*) FROM notifications_notification WHERE key = 'new_post:{post}'"


class Listeners(Crowd):
    """People, and after them followers of an author, who are told of posts. It notes when, by
    time.perf_counter()."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.told: list[float] = []

    def poll(self, timeout: float) -> Iterator[tuple[Client, bytes]]:
        """Yield the texts that arrive, as any crowd does."""
        for client, text in super().poll(timeout):
            if text.startswith(TOLD):
                self.told.append(time.perf_counter())
            yield client, text


@dataclass
class Told:
    """One post and what came of it. Times are in seconds after the request was sent."""

    request: float
    rows: float = 0.0
    frames: float = 0.0
    # The processor time of the worker and of the server.
    worker: float = 0.0
    server: float = 0.0
    # The milliseconds that direct messages took before the post, and until all were told.
    quiet: list[float] = field(default_factory=list)
    meanwhile: list[float] = field(default_factory=list)


def run() -> Report:
    """Measure and return what was found."""
    report = Report(
        "notifications",
        f"A post of an author with {FOLLOWERS:,} followers",
        "the ratio or the seconds of each row, as the table says",
    )
    allow_open_files(4 * PEOPLE)
    with ExitStack() as stack:
        backend = stack.enter_context(start_backend())
        author, other = backend.users(2)
        followers = followers_of(backend, author)
        people = backend.users(PEOPLE)
        server = stack.enter_context(parley(backend, SETTINGS, "--without-jobs"))
        with Listeners(server.port) as crowd, worker(backend) as working:
            users = [*people, *followers[:WITH_SOCKETS]]
            crowd.join([user.token for user in users], CONNECTED)
            setup = Setup(backend, server, crowd, people)
            warm_up(setup)
            told = [tell(setup, crowd, working, author, number) for number in range(ROUNDS + 1)]
        # The first one finds code and memory cold.
        report.rows += told_rows(told[1:])
        report.rows += [published(server, author, other)]
        print(*report.rows, sep="\n", flush=True)
    report.notes += [
        f"Medians of {ROUNDS} posts to {FOLLOWERS:,} followers, {WITH_SOCKETS} of whom have a "
        "socket. One web process (`manage.py serve --without-jobs`) and one worker (`manage.py "
        "worker`). All rows: from the request to the end of the job that makes them; all frames: "
        "to the last frame. Each follower has one row and each socket one frame, or the benchmark "
        "fails. Cpu s is the processor time of the worker and of the web process until then.",
        f"Direct messages: {RATE} a second between {PEOPLE} other people, at fixed times whatever "
        f"has come back, from the sending to the receiver's frame; before each post for {QUIET} "
        f"x {SECONDS} s, and those sent until all followers have their row.",
        f"Requests that publish: {CONNECTIONS} connections of one author, each with the next "
        "request once the last one is answered, of the author with followers and of one without "
        f"in turn, {TURNS} turns of {PUBLISHED_SECONDS} s each, while no worker runs: the jobs "
        "stay in the table.",
        "PostgreSQL flushes every commit to disk. Clients, server, worker and databases share the "
        "cores.",
    ]
    return report


def followers_of(backend: Backend, author: User) -> list[User]:
    """Make the followers of an author."""
    followers = backend.users(FOLLOWERS)
    emails = "{" + ",".join(user.email for user in followers) + "}"
    backend.execute(FOLLOW.format(author=author.id, emails=emails))
    backend.execute("VACUUM ANALYZE")
    return followers


def tell(setup: Setup, crowd: Listeners, working: Process, author: User, number: int) -> Told:
    """Publish a post and return what came of it, with direct messages before and meanwhile."""
    quiet = [offer(setup, RATE, SECONDS, f"quiet-{number}-{part}") for part in range(QUIET)]
    crowd.told.clear()
    cpu = working.cpu_seconds(), setup.server.cpu_seconds()
    began, sent = time.time(), time.perf_counter()
    post = publish(setup.server, author, number)
    told = Told(time.perf_counter() - sent)
    ended = ENDED.format(post=post)
    meanwhile: list[Offer] = []
    while (finished_at := setup.backend.query(ended)) is None or len(crowd.told) < WITH_SOCKETS:
        if time.perf_counter() > sent + PATIENCE:
            raise TimeoutError(f"{len(crowd.told)} of {WITH_SOCKETS} sockets received the post.")
        meanwhile.append(offer(setup, RATE, SECONDS, f"told-{number}-{len(meanwhile)}"))
    told.worker, told.server = working.cpu_seconds() - cpu[0], setup.server.cpu_seconds() - cpu[1]
    rows = setup.backend.query(ROWS.format(post=post))
    if rows != FOLLOWERS or len(crowd.told) != WITH_SOCKETS:
        raise RuntimeError(f"There are {rows} rows, and {len(crowd.told)} frames were received.")
    told.rows, told.frames = finished_at - began, max(crowd.told) - sent
    told.quiet = deliveries(quiet)
    told.meanwhile = deliveries(meanwhile, until=sent + told.rows)
    return told


def publish(server: Server, author: User, number: int) -> str:
    """Publish a post and return its id."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    headers = {"Authorization": f"Bearer {author.token}", "Content-Type": "application/json"}
    body = json.dumps({**POST, "title": f"Post {number} for all followers"})
    connection.request("POST", "/api/v1/posts", body, headers)
    post: str = json.loads(connection.getresponse().read())["data"]["id"]
    connection.close()
    return post


def deliveries(offers: list[Offer], until: float = float("inf")) -> list[float]:
    """Return the milliseconds until each message that was sent before a time was delivered; a lost
    one took all PATIENCE."""
    return [
        (one.delivered[number] - at if number in one.delivered else PATIENCE) * 1000
        for one in offers
        for number, at in one.sent.items()
        if at < until
    ]


def told_rows(told: list[Told]) -> list[Row]:
    """Return the rows of the table of what came of the posts."""
    without, meanwhile = (
        [percentile(took, 0.99) for took in rounds]
        for rounds in ([one.quiet for one in told], [one.meanwhile for one in told])
    )
    return [
        compared(
            "all rows, s",
            "≤ 30",
            [one.rows for one in told],
            more={
                "worker's cpu s": median_of([one.worker for one in told]),
                "server's cpu s": median_of([one.server for one in told]),
            },
        ),
        compared("all frames, s", "≤ 30", [one.frames for one in told]),
        compared("direct messages p99 ms", "≤ 1.5", meanwhile, "before the post", without),
        compared("the request meanwhile, ms", "", [one.request * 1000 for one in told]),
    ]


def published(server: Server, author: User, other: User) -> Row:
    """Return the row of the requests of an author with followers and of one without."""
    turns = in_turn(
        {user.id: side(publishing(server, user), server) for user in (author, other)}, TURNS
    )
    ours, without = (
        [turn.answered.p99 * 1000 for turn in turns[user.id]] for user in (author, other)
    )
    return compared("request p99 ms", "≤ 1.2", ours, "an author without followers", without)


def publishing(server: Server, user: User) -> Load:
    """Return the load of a user who publishes posts."""
    body = json.dumps(POST).encode()
    sent = request("POST", "/api/v1/posts", token=user.token, body=body)
    return Load([server.port], [sent], CONNECTIONS, PUBLISHED_SECONDS, status=201)
