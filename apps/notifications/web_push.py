"""Sending one message to one browser, by the push service that its subscription names."""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from http.client import HTTPException, HTTPSConnection
from threading import Timer
from time import monotonic
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from apps.core.errors import Invalid
from apps.notifications.push_encryption import decoded, encrypt
from apps.notifications.push_endpoints import (
    HTTPS_PORT,
    Address,
    NotPublic,
    public_addresses,
    require_endpoint,
)
from apps.notifications.vapid import authorization

# Seconds for the whole exchange, however slowly the other side answers.
TIME_LIMIT = 10.0
# Seconds for which a push service keeps a message for a browser that is off.
KEPT_FOR = 24 * 3600
# Seconds; a push service that asks for a longer pause is asked again nevertheless.
LONGEST_PAUSE = 24 * 3600
GONE = {404, 410}
LATER = {408, 425, 429}


class Result(Enum):
    """What became of a message. After GONE the subscription is of no more use."""

    SENT = "sent"
    GONE = "gone"
    REFUSED = "refused"
    LATER = "later"


@dataclass(frozen=True)
class Outcome:
    """The result, why, and after how many seconds to try again, if the push service said so. The
    reason names no address, since jobs keep it."""

    result: Result
    reason: str
    retry_after: int | None = None


@dataclass(frozen=True)
class Target:
    """A subscription: its address and its two keys, as base64url."""

    endpoint: str
    p256dh: str
    auth: str


@dataclass(frozen=True)
class Sender:
    """Who pushes: the secret of the key, and where the operator is found."""

    secret: str
    contact: str


@dataclass(frozen=True)
class Network:
    """How a host is found and its certificate checked. Tests have one of their own."""

    addresses: Callable[[str], Sequence[Address]] = public_addresses
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    time_limit: float = TIME_LIMIT


INTERNET = Network()


def web_push(
    target: Target,
    message: Mapping[str, object],
    message_id: UUID,
    sender: Sender,
    network: Network = INTERNET,
) -> Outcome:
    """Send a message, with its id as `id`, and return what became of it. It makes no transaction
    and may take TIME_LIMIT seconds, and as long as the host's name takes to be found.

    A repeated message keeps its id: a push service that has not delivered the first one replaces
    it, and a browser that has it drops the second. Raises ValueError for a message too long.
    """
    body = encrypt(
        orjson.dumps({**message, "id": str(message_id)}),
        decoded(target.p256dh),
        decoded(target.auth),
    )
    headers = {
        "Authorization": authorization(target.endpoint, sender.secret, sender.contact),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(KEPT_FOR),
        "Topic": message_id.hex,
    }
    try:
        require_endpoint(target.endpoint)
        return _outcome(*_post(target.endpoint, body, headers, network))
    except (Invalid, NotPublic):
        return Outcome(Result.REFUSED, "The endpoint is not one of a public push service")
    except (OSError, HTTPException) as error:
        return Outcome(Result.LATER, f"No answer from the push service ({type(error).__name__})")


def _post(
    endpoint: str, body: bytes, headers: Mapping[str, str], network: Network
) -> tuple[int, str]:
    """Return the status and Retry-After of the answer. Its body is never read, and no redirect is
    followed, so that an answer costs no more than its head."""
    split = urlsplit(endpoint)
    host = str(split.hostname)
    path = f"{split.path or '/'}?{split.query}" if split.query else split.path or "/"
    with _connected(network.addresses(host), host, network) as tls:
        connection = HTTPSConnection(host, HTTPS_PORT)
        # With a socket it does not look up the name again.
        connection.sock = tls
        connection.request("POST", path, body, dict(headers))
        with connection.getresponse() as answer:
            return answer.status, answer.headers.get("Retry-After", "")


@contextmanager
def _connected(
    addresses: Sequence[Address], host: str, network: Network
) -> Iterator[ssl.SSLSocket]:
    """Connect to the first of the addresses that answers, and check that it has the certificate of
    the host. Everything ends at the time limit."""
    deadline = monotonic() + network.time_limit
    with _first(addresses, deadline) as plain, plain.dup() as handle:
        # A time limit of a socket is for each read alone: who sends a byte a second never ends.
        timer = Timer(max(0.0, deadline - monotonic()), _shut, [handle])
        timer.daemon = True
        timer.start()
        try:
            with network.tls().wrap_socket(plain, server_hostname=host) as tls:
                yield tls
        finally:
            timer.cancel()
            timer.join()


def _first(addresses: Sequence[Address], deadline: float) -> socket.socket:
    failure = OSError("no address")
    for number, address in enumerate(addresses):
        if (left := deadline - monotonic()) <= 0:
            break
        try:
            # One that does not answer leaves time for the others.
            return socket.create_connection(address, timeout=left / (len(addresses) - number))
        except OSError as error:
            failure = error
    raise failure


def _shut(handle: socket.socket) -> None:
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


def _outcome(status: int, retry_after: str) -> Outcome:
    reason = f"The push service answers {status}"
    if 200 <= status < 300:
        return Outcome(Result.SENT, reason)
    if status in GONE:
        return Outcome(Result.GONE, reason)
    if status in LATER or status >= 500:
        return Outcome(Result.LATER, reason, _pause(retry_after))
    return Outcome(Result.REFUSED, reason)


def _pause(retry_after: str) -> int | None:
    """Return the seconds of a header Retry-After, which has them or a time (RFC 9110, 10.2.3)."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(int(retry_after[:9]), LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        # A year or a zone of many digits is no time.
        return None
    seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(0, round(seconds)), LONGEST_PAUSE)
