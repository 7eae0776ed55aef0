"""Server processes that PARLEY_TAMPER changes: to be faster, so that a test need not wait for a
heartbeat, or to be broken on purpose, to show that a test catches the fault."""

import asyncio
import os
import pkgutil
import threading
import time
from pathlib import Path
from typing import Any

from django.apps import AppConfig


class TamperedConfig(AppConfig):
    """Changes one thing of a server process."""

    name = "apps.realtime.tests"
    label = "tampered"
    path = str(Path(__file__).parent)

    def ready(self) -> None:
        """Make the changes whose names the environment lists, separated by commas."""
        for tampering in os.environ["PARLEY_TAMPER"].split(","):
            for where, name, value in TAMPERINGS[tampering]:
                owner = pkgutil.resolve_name(where)
                if isinstance(owner, dict):
                    owner[name] = value
                else:
                    # A name that does not exist would change nothing, and the test prove nothing.
                    getattr(owner, name)
                    setattr(owner, name, value)


async def nothing(*_: Any) -> None:
    """Skip a step."""


def connect_without_responses(protocol: Any, event: Any) -> None:
    """Handle an upgrade as a server that can refuse none by an HTTP response."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    WebSocketsSansIOProtocol.handle_connect(protocol, event)
    protocol.scope["extensions"] = {}


async def hears_nothing(*_: Any) -> set[str]:
    """Listen to nothing, and say that it was heard before."""
    return set()


def empty_backlog(*_: Any) -> Any:
    """Return that the log has no more events."""
    from apps.realtime.event_log import Backlog

    return Backlog([], complete=True)


def slow_heads(streams: Any) -> Any:
    """Return the heads of streams late."""
    from apps.realtime.event_log import heads

    time.sleep(0.5)
    return heads(streams)


def written_at_once(queue: Any, record: Any) -> None:
    """Write the line in the thread that logs it."""
    queue._write([queue.format(record)])


async def slow_loads(load: Any, keys: Any) -> Any:
    """Load what hot reads show, and return it late."""
    from config.thread_pools import in_reading_thread

    found = await in_reading_thread(load, keys)
    await asyncio.sleep(0.1)
    return found


_reading = threading.Lock()


def lonely_pages(keys: Any) -> Any:
    """Read pages slowly, and fail if others are read at the same time."""
    from apps.realtime.event_log import pages_after

    if not _reading.acquire(blocking=False):
        raise RuntimeError("Two pages are read at once.")
    try:
        time.sleep(0.05)
        return pages_after(keys)
    finally:
        _reading.release()


def gathered(authenticator: Any, candidates: Any, **options: Any) -> Any:
    """Admit slowly, so that others gather meanwhile, and print how many are admitted together."""
    from apps.realtime.admission import admit

    print(f"admitted together: {len(candidates)}", flush=True)  # noqa: T201
    time.sleep(0.5)
    return admit(authenticator, candidates, **options)


def one_call_at_a_time(call: Any) -> Any:
    """Return calls that go together, of which one runs at once."""
    from apps.realtime.together import Together

    return Together(call, most=1)


def slow_starts(users: Any) -> Any:
    """Return late where sockets start."""
    from apps.realtime.event_log import heads
    from apps.realtime.streams import automatic_streams_of

    time.sleep(2)
    automatic = automatic_streams_of(users)
    return automatic, heads({name for streams in automatic.values() for name in streams})


def waiting_for_locks(tickets: Any, *, wait: bool) -> Any:
    """Redeem tickets, and wait for those that are locked."""
    from apps.accounts.tickets import tickets_redeem

    return tickets_redeem(tickets)


def broken(headers: Any, *_: Any) -> None:
    """Fail for a client whose headers say so."""
    if headers.get(b"x-forwarded-proto") == "breaks":
        raise RuntimeError


def unguarded_credential(scope: Any) -> Any:
    """Return what a client authenticates with, or fail for all who arrive with them."""
    from apps.accounts.socket_authentication import Token

    headers = {name: value.decode() for name, value in scope["headers"]}
    broken(headers)
    return Token(headers[b"authorization"].partition(" ")[2])


HUB = "apps.realtime.hub"
PRESENCE = "apps.realtime.presence"
RELAY = "apps.realtime.relay"
LISTENER = "apps.realtime.listener"
SOCKETS = "apps.accounts.socket_authentication"
HASHING = "apps.accounts.hashing_process:hashing_process"
# The hasher of a server, and the one by which the users of the tests were created.
HASHERS = ["apps.accounts.passwords.Argon2Hasher", "testing.hashing.NoticedHasher"]

# What each name changes: where, which attribute or key, and the new value.
TAMPERINGS: dict[str, list[tuple[str, str, Any]]] = {
    "hurried": [(HUB, "HEAL_SECONDS", 0.2)],
    "rare-heartbeats": [(HUB, "HEARTBEAT_PARTS", 100)],
    "breathless": [(HUB, "HEAL_SECONDS", 0.01)],
    "slow-heads": [
        ("apps.realtime.stream_subscribers", "heads", slow_heads),
        ("apps.realtime.subscriptions", "heads", slow_heads),
    ],
    "writes-timelines-soon": [("apps.realtime.connection_log", "WRITE_SECONDS", 0.1)],
    "short-lived": [(PRESENCE, "ALIVE_SECONDS", 3)],
    "short-stay": [("apps.realtime.rooms", "INSIDE_SECONDS", 3)],
    "never-checks-rooms": [(HUB, "room_check", lambda *_: None)],
    "never-hides-rooms": [("apps.posts.events", "room_hidden", lambda _: None)],
    "brief-grace": [(PRESENCE, "GRACE_SECONDS", 2)],
    "no-grace": [(PRESENCE, "GRACE_SECONDS", 0)],
    "never-heals": [(f"{HUB}:Hub", "_heal", nothing)],
    "impatient": [
        ("apps.realtime.transport:UVICORN", "ws_ping_interval", 6),
        ("apps.realtime.transport:UVICORN", "ws_ping_timeout", 2),
    ],
    "without-responses": [
        ("apps.realtime.transport:SocketProtocol", "handle_connect", connect_without_responses)
    ],
    "few-streams": [("apps.realtime.open_socket", "STREAMS_PER_SOCKET", 1)],
    "misspells-pong": [("apps.realtime.socket_frames:Pong", "type", "pung")],
    "misfills-pong": [("apps.realtime.socket_frames:Pong", "data", lambda _: {"streams": {}})],
    "brisk": [("apps.core.http.slow_clients", "CLOSING_SECONDS", 0.5)],
    "never-reads": [("apps.realtime.stream_subscribers", "events_after", empty_backlog)],
    "lonely-pages": [
        ("apps.realtime.pages", "pages_after", lonely_pages),
        ("apps.realtime.pages", "PAGES_TOGETHER", 1),
    ],
    "no-turns": [("apps.realtime.pages", "CALLS", 4)],
    "never-sweeps": [(f"{HUB}:Hub", "_sweep_sessions", nothing)],
    "trusts-controls": [("apps.realtime.reader_checks:ReaderChecks", "require", nothing)],
    "never-sweeps-access": [(f"{HUB}:Hub", "_sweep_subscriptions", nothing)],
    "fast-relay": [
        (RELAY, "PROBE_SECONDS", 0.2),
        (LISTENER, "PROBE_SECONDS", 0.2),
        (LISTENER, "SILENCE_SECONDS", 1.0),
    ],
    "brief-linger": [(HUB, "LINGER_SECONDS", 0.2)],
    "never-listens": [(f"{LISTENER}:Listener", "listen", hears_nothing)],
    "without-notices": [("apps.realtime.database_notices", "available", lambda: False)],
    "short-queue": [("apps.core.log_queue", "MOST_LINES", 5)],
    "waits-for-its-reader": [
        ("apps.core.log_queue:LogQueue", "emit", written_at_once),
        ("apps.core.log_queue:LogQueue", "write", lambda queue, line: queue._write([line])),
    ],
    "real-hashes": [("django.conf:settings", "PASSWORD_HASHERS", HASHERS)],
    "replaces-early": [(HASHING, "hung", 0.0)],
    "waits-long": [(HASHING, "wait", 60.0)],
    "slow-loads": [("config.hot_reads", "in_reading_thread", slow_loads)],
    "ignores-drops": [("apps.core.kept:Kept", "drop", lambda *_: None)],
    "keeps-old-loads": [("apps.core.kept:Kept", "_changed_since", lambda *_: False)],
    "joins-old-loads": [("apps.core.kept:Kept", "unchanged_since", lambda *_: True)],
    "gathers-arrivals": [(HUB, "admit", gathered), (HUB, "Together", one_call_at_a_time)],
    "slow-starts": [("apps.realtime.subscriptions", "_starts_of", slow_starts)],
    "breaks-one": [(SOCKETS, "_require_known_origin", broken)],
    "breaks-all": [(SOCKETS, "_credential", unguarded_credential)],
    "waits-for-all-locks": [(SOCKETS, "tickets_redeem", waiting_for_locks)],
    "never-renews": [(LISTENER, "SILENCE_SECONDS", 3600.0)],
    "brief-patience": [("config.supervisor", "HUNG_BEATS", 1)],
    "slow-end": [("config.draining", "SOCKETS_A_SECOND", 0.5)],
    "never-says-so": [("config.draining", "begin_stopping", lambda: None)],
    "never-helps": [("config.supervised", "_help", nothing)],
}
