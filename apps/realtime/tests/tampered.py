"""Server processes that were tampered with, by PARLEY_TAMPER: in a hurry, so that a test need not
wait for a heartbeat; or deliberately broken, to show that the fault tests catch it."""

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
        """Do what the environment names, by words with a comma between them."""
        for word in os.environ["PARLEY_TAMPER"].split(","):
            for where, name, value in TAMPERINGS[word]:
                owner = pkgutil.resolve_name(where)
                if isinstance(owner, dict):
                    owner[name] = value
                else:
                    # A name that is gone would change nothing, and the test would prove nothing.
                    getattr(owner, name)
                    setattr(owner, name, value)


async def nothing(*_: Any) -> None:
    """Leave a step out."""


def nothing_missed(*_: Any) -> Any:
    """Say that the log has nothing more."""
    from apps.realtime.event_log import Backlog

    return Backlog([], complete=True)


def slow_heads(streams: Any) -> Any:
    """Find out late where streams stand."""
    from apps.realtime.event_log import heads

    time.sleep(0.5)
    return heads(streams)


def written_at_once(queue: Any, record: Any) -> None:
    """Have whoever logs write the line."""
    queue._write([queue.format(record)])


_reading = threading.Lock()


def lonely_page(*key: Any) -> Any:
    """Read a page, and take so long over it that one beside it is noticed, which fails."""
    from apps.realtime.event_log import events_after

    if not _reading.acquire(blocking=False):
        raise RuntimeError("Two pages are read at once.")
    try:
        time.sleep(0.05)
        return events_after(*key)
    finally:
        _reading.release()


async def without_turn(_: Any, key: Any) -> Any:
    """Read a page whoever reads another one."""
    from apps.realtime.threads import in_thread

    return await in_thread(lonely_page, *key)


HUB = "apps.realtime.hub"
PRESENCE = "apps.realtime.presence"
RELAY = "apps.realtime.relay"
HASHING = "apps.accounts.hashing_process:hashing_process"
# What a server hashes with, and what the people of the tests have been made with.
HASHERS = ["apps.accounts.passwords.Argon2Hasher", "testing.hashing.NoticedHasher"]

# What each word changes: where, which attribute or key, and its new value.
TAMPERINGS: dict[str, list[tuple[str, str, Any]]] = {
    "hurried": [(HUB, "HEAL_SECONDS", 0.2)],
    "breathless": [(HUB, "HEAL_SECONDS", 0.01)],
    "slow-heads": [
        ("apps.realtime.stream_subscribers", "heads", slow_heads),
        ("apps.realtime.subscriptions", "heads", slow_heads),
    ],
    "short-lived": [(PRESENCE, "ALIVE_SECONDS", 3)],
    "brief-grace": [(PRESENCE, "GRACE_SECONDS", 0.5)],
    "no-grace": [(PRESENCE, "GRACE_SECONDS", 0)],
    "never-heals": [(f"{HUB}:Hub", "_heal", nothing)],
    "impatient": [
        ("apps.realtime.transport:UVICORN", "ws_ping_interval", 6),
        ("apps.realtime.transport:UVICORN", "ws_ping_timeout", 0.5),
    ],
    "few-streams": [("apps.realtime.open_socket", "STREAMS_PER_SOCKET", 1)],
    "misspells-pong": [("apps.realtime.socket_frames:Pong", "type", "pung")],
    "misfills-pong": [("apps.realtime.socket_frames:Pong", "data", lambda _: {"streams": {}})],
    "brisk": [("apps.core.http.hangup", "CLOSING_SECONDS", 0.5)],
    "never-reads": [("apps.realtime.stream_subscribers", "events_after", nothing_missed)],
    "lonely-pages": [("apps.realtime.pages", "events_after", lonely_page)],
    "no-turns": [("apps.realtime.pages:Pages", "_read", without_turn)],
    "never-sweeps": [(f"{HUB}:Hub", "_sweep_sessions", nothing)],
    "never-sweeps-access": [(f"{HUB}:Hub", "_sweep_subscriptions", nothing)],
    "quick-eared": [(RELAY, "PROBE_SECONDS", 0.2), (RELAY, "SILENCE_SECONDS", 1.0)],
    "one-way": [("apps.realtime.database_notices", "available", lambda: False)],
    "short-queue": [("apps.core.log_queue", "MOST_LINES", 5)],
    "waits-for-its-reader": [("apps.core.log_queue:LogQueue", "emit", written_at_once)],
    "real-hashes": [("django.conf:settings", "PASSWORD_HASHERS", HASHERS)],
    "replaces-early": [(HASHING, "hung", 0.0)],
    "waits-long": [(HASHING, "wait", 60.0)],
    "never-renews": [(RELAY, "SILENCE_SECONDS", 3600.0)],
}
