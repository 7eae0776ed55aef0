"""How many connections there are, and how many each network holds: a client that opens them without
end takes the server's memory and, from everybody else and the database, its file descriptors."""

import resource
import time
from asyncio import Transport
from collections import Counter
from contextlib import suppress

import structlog
from django.conf import settings

from apps.core.addresses import network_of

log = structlog.get_logger(__name__)

# Seconds between two lines about it, of however many connections.
WORD_EVERY = 10
# No process needs more, and where there is no limit there must be one.
MOST_FILES = 65_536


def raise_file_limit() -> None:
    """Let this process open as many files as the system lets it. What it begins with, often 1,024,
    is kept small for the sake of programs much older than ours."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    # Some systems allow less than they say.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


class Connections:
    """The open connections of this process, each with the network it comes from.

    They are known by their transports: a connection that becomes a websocket changes its protocol
    and keeps its transport.
    """

    def __init__(self) -> None:
        self._networks: dict[Transport, str] = {}
        self._count: Counter[str] = Counter()
        self._next_word = 0.0

    def admit(self, transport: Transport, address: str) -> bool:
        """Count a new connection; return False, and do not count it, when it is one too many."""
        network = network_of(address)
        if self._full() or self._has_too_many(network):
            self._say(network)
            return False
        self._networks[transport] = network
        self._count[network] += 1
        return True

    def _full(self) -> bool:
        # The other half of the files is for the database, and for bodies too large for memory.
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Containers often begin with a million files, for which no process has the memory.
        files = MOST_FILES if files == resource.RLIM_INFINITY else min(files, MOST_FILES)
        return len(self._networks) >= files // 2

    def _has_too_many(self, network: str) -> bool:
        # What comes through a proxy comes from the proxy's address, all of it.
        if settings.SERVER_TRUSTED_PROXIES:
            return False
        return 0 < settings.SERVER_CONNECTIONS_PER_ADDRESS <= self._count[network]

    def release(self, transport: Transport) -> None:
        """Give a connection's place back, once it is lost. Does nothing when it had none."""
        network = self._networks.pop(transport, None)
        if network is None:
            return
        self._count[network] -= 1
        if not self._count[network]:
            del self._count[network]

    def _say(self, network: str) -> None:
        if time.monotonic() >= self._next_word:
            self._next_word = time.monotonic() + WORD_EVERY
            log.warning("too many connections", network=network, of_it=self._count[network])


connections = Connections()
