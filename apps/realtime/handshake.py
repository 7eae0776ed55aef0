"""How a client becomes an open socket, or is refused."""

from collections.abc import Mapping
from typing import Any

import structlog

from apps.core.http.handler import as_domain_error
from apps.realtime import closing
from apps.realtime.hub import Hub
from apps.realtime.open_socket import OpenSocket
from apps.realtime.presence import Arrival, TooManySockets, announce_online, presence_store
from apps.realtime.registry import SocketAuthenticator
from apps.realtime.sockets import PresenceEntry
from apps.realtime.threads import asking_redis, in_thread
from apps.realtime.wire import Wire

log = structlog.get_logger("parley.socket")


async def admit(
    scope: Mapping[str, Any], wire: Wire, authenticator: SocketAuthenticator, hub: Hub
) -> OpenSocket | None:
    """Let the visitor in and return their socket; None for a client that was refused, and has been
    told why."""
    try:
        identity, user = await in_thread(authenticator.authenticate, scope)
        entry = PresenceEntry(identity.user_id, identity.session_id, wire.socket_id)
        arrival = await asking_redis(presence_store().enter, entry)
    except TooManySockets:
        await wire.accept()
        await wire.close(closing.TOO_MANY_SOCKETS)
        return None
    except Exception as error:  # noqa: BLE001
        await wire.refuse(as_domain_error(error))
        return None
    socket = OpenSocket(wire, hub, entry)
    try:
        await wire.accept()
        await socket.welcome(user)
    except BaseException:
        await socket.leave()
        raise
    if arrival is not None:
        # In the background: the others need not be told for this one to be served.
        hub.spawn(_announce(arrival, entry.socket_id))
    log.info("connected", client=entry.socket_id, user_id=str(entry.user_id))
    return socket


async def _announce(arrival: Arrival, socket_id: str) -> None:
    try:
        await in_thread(announce_online, arrival)
    except Exception:
        log.warning("arrival not told", client=socket_id, exc_info=True)
