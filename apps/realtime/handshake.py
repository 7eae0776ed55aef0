"""How a client becomes an open socket, or is refused."""

from collections.abc import Mapping
from typing import Any

import structlog

from apps.core.addresses import network_of
from apps.core.errors import ServiceUnavailable, require
from apps.core.http.handler import as_domain_error
from apps.core.http.middleware import address_in_scope
from apps.core.quick_log import QuickLog
from apps.core.stopping import is_stopping
from apps.realtime import closing
from apps.realtime.admission import Candidate
from apps.realtime.hub import Hub
from apps.realtime.open_socket import OpenSocket
from apps.realtime.presence import PresenceChange, TooManySockets
from apps.realtime.wire import SOCKET_LOGGER, Wire

log = QuickLog(SOCKET_LOGGER)


async def perform_handshake(scope: Mapping[str, Any], wire: Wire, hub: Hub) -> OpenSocket | None:
    """Authenticate the client and return its socket, or None after it was refused with the
    reason."""
    try:
        require(not is_stopping(), ServiceUnavailable)
        network = network_of(address_in_scope(scope))
        admission = await hub.admit(Candidate(scope, wire.socket_id), network)
    except Exception as error:  # noqa: BLE001
        await wire.refuse(as_domain_error(error))
        return None
    entry, user_id = admission.entry, str(admission.entry.user_id)
    if isinstance(admission.entered, TooManySockets):
        wire.log_refusal(code=closing.TOO_MANY_SOCKETS, user_id=user_id)
        await wire.accept()
        await wire.close(closing.TOO_MANY_SOCKETS)
        return None
    # Every further line about the socket has these, also one about a failure of a command.
    names = {"socket_id": entry.socket_id, "user_id": user_id}
    structlog.contextvars.bind_contextvars(**names)
    socket = OpenSocket(wire, hub, entry)
    try:
        await wire.accept()
        await socket.start(admission.user)
    except BaseException:
        await socket.leave()
        raise
    if isinstance(admission.entered, PresenceChange):
        # The socket is served without waiting until others are notified.
        hub.announce(admission.entered)
    log.info("connected", **names, request_id=wire.request_id, address=wire.address)
    return socket
