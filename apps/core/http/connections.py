"""Limits on the connections of a process, in all and for each network. A client that opens
connections without end takes memory, and file descriptors that others and the database need."""

import resource
import time
from asyncio import Transport
from collections import Counter
from contextlib import suppress

import structlog
from django.conf import settings

from apps.core.addresses import network_of
from apps.core.ratelimit import LIMIT_REFUSALS

log = structlog.get_logger(__name__)

# The least time between two log lines about refused connections, in seconds.
LOG_SECONDS = 10
# No process needs more files, and an unlimited system needs a limit.
MOST_FILES = 65_536


def raise_file_limit() -> None:
    """Let this process open as many files as the system allows. The default limit, often 1,024, is
    small only for compatibility with old programs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    # Some systems allow less than their hard limit.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


class Connections:
    """The open connections of this process, each with the network of its client.

    The keys are transports, because a connection that becomes a websocket changes its protocol and
    keeps its transport.
    """

    def __init__(self) -> None:
        self._networks: dict[Transport, str] = {}
        self._count: Counter[str] = Counter()
        self._next_log_at = 0.0

    def acquire(self, transport: Transport, address: str) -> bool:
        """Count a new connection and return True; return False without counting it if there are
        too many."""
        network = network_of(address)
        if self._full() or self._has_too_many(network):
            LIMIT_REFUSALS.add(1, "connections")
            self._log_refusal(network)
            return False
        self._networks[transport] = network
        self._count[network] += 1
        return True

    def _full(self) -> bool:
        # The other half of the files is for the database, and for request bodies on disk.
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Containers often allow a million files, for which no process has the memory.
        files = MOST_FILES if files == resource.RLIM_INFINITY else min(files, MOST_FILES)
        return len(self._networks) >= files // 2

    def _has_too_many(self, network: str) -> bool:
        # Behind a proxy, all connections come from the address of the proxy.
        if settings.SERVER_TRUSTED_PROXIES:
            return False
        return 0 < settings.SERVER_CONNECTIONS_PER_ADDRESS <= self._count[network]

    def release(self, transport: Transport) -> None:
        """Stop counting a connection that is lost. Does nothing if it was not counted."""
        network = self._networks.pop(transport, None)
        if network is None:
            return
        self._count[network] -= 1
        if not self._count[network]:
            del self._count[network]

    def _log_refusal(self, network: str) -> None:
        if time.monotonic() >= self._next_log_at:
            self._next_log_at = time.monotonic() + LOG_SECONDS
            log.warning("too many connections", network=network, of_it=self._count[network])


connections = Connections()
