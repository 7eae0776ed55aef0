"""How a client becomes an open socket, or is refused."""

from collections.abc import Mapping
from typing import Any

import structlog

from apps.core.http.handler import as_domain_error
from apps.realtime import closing
from apps.realtime.background import spawn
from apps.realtime.hub import Hub
from apps.realtime.open_socket import OpenSocket
from apps.realtime.presence import TooManySockets, announce_presence, presence_store
from apps.realtime.registry import SocketAuthenticator
from apps.realtime.sockets import PresenceEntry
from apps.realtime.threads import in_redis_thread, in_thread
from apps.realtime.wire import Wire

log = structlog.get_logger("parley.socket")


async def perform_handshake(
    scope: Mapping[str, Any], wire: Wire, authenticator: SocketAuthenticator, hub: Hub
) -> OpenSocket | None:
    """Authenticate the client and return its socket, or None after it was refused with the
    reason."""
    try:
        identity, user = await in_thread(authenticator.authenticate, scope)
        entry = PresenceEntry(identity.user_id, identity.session_id, wire.socket_id)
        [arrival] = await in_redis_thread(presence_store().arrive, [entry])
        if isinstance(arrival, TooManySockets):
            raise arrival
    except TooManySockets:
        wire.log_refusal(code=closing.TOO_MANY_SOCKETS, user_id=str(identity.user_id))
        await wire.accept()
        await wire.close(closing.TOO_MANY_SOCKETS)
        return None
    except Exception as error:  # noqa: BLE001
        await wire.refuse(as_domain_error(error))
        return None
    # Every further line about the socket has these, also one about a failure of a command.
    structlog.contextvars.bind_contextvars(socket_id=entry.socket_id, user_id=str(entry.user_id))
    socket = OpenSocket(wire, hub, entry)
    try:
        await wire.accept()
        await socket.start(user)
    except BaseException:
        await socket.leave()
        raise
    if arrival is not None:
        # The socket is served without waiting until others are notified.
        spawn(in_thread(announce_presence, [arrival]))
    log.info("connected", request_id=wire.request_id, address=wire.address)
    return socket
