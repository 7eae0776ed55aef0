"""How workers learn at once that there is a job. Who misses it finds the job when it looks again,
POLL_SECONDS later at most."""

import threading
import time
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.core.redis import RedisDown, key, with_redis

POLL_SECONDS = 1.0
# How long a worker waits before it subscribes again to a Redis that does not answer.
RETRY_SECONDS = 1.0
# After a wake-up the next one waits so long, and stands for all that was enqueued meanwhile.
GATHER_SECONDS = 0.005

_enqueued = threading.Event()
_outside = threading.Event()
_publisher: threading.Thread | None = None
_starting = threading.Lock()


def wake_after_commit() -> None:
    """Wake the workers once the present transaction is committed."""
    transaction.on_commit(_wake, robust=True)


def wait_for_jobs(seconds: float) -> None:
    """Return when a job was enqueued since the last call, or after so many seconds."""
    _enqueued.wait(seconds)
    _enqueued.clear()


def _wake() -> None:
    _enqueued.set()
    if settings.REDIS_URL:
        _start_publisher()
        _outside.set()


def _start_publisher() -> None:
    """Publish in a thread of its own: a Redis that hangs must not delay who enqueues."""
    global _publisher
    with _starting:
        if _publisher is None or not _publisher.is_alive():
            _publisher = threading.Thread(target=_publish, name="wake workers", daemon=True)
            _publisher.start()


def _publish() -> None:
    while _outside.wait():
        _outside.clear()
        with suppress(RedisDown):
            with_redis("main", lambda client: client.publish(key("jobs"), ""))
        time.sleep(GATHER_SECONDS)


def start_listening() -> None:
    """Learn in this process what other processes enqueue."""
    if settings.REDIS_URL:
        threading.Thread(target=_listen_again, name="jobs of others", daemon=True).start()


def _listen_again() -> None:
    while True:
        with suppress(RedisDown):
            with_redis("main", _listen)
        time.sleep(RETRY_SECONDS)


def _listen(client: Any) -> None:
    with client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(key("jobs"))
        while True:
            if subscription.get_message(timeout=POLL_SECONDS):
                _enqueued.set()
