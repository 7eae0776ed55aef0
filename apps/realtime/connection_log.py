"""What operators are shown of websockets: how many, and how each ended."""

from apps.core.metrics import Counter, Level
from apps.realtime.closing import CODES

OPEN = Level("parley_websockets", "Websockets that are open.")
CONNECTS = Counter("parley_websocket_connects_total", "Websockets that were opened.")
CLOSES = Counter("parley_websocket_closes_total", "Websockets that ended, by code.", ("code",))

# Those of the protocol that clients send (RFC 6455, 7.4.1); they may send any other too.
_USUAL = {1000, 1001, 1005, 1006, *CODES}


def opened() -> None:
    """Note that a socket was opened."""
    OPEN.add()
    CONNECTS.add()


def ended(code: int | None) -> None:
    """Note that a socket ended by a code, if there was one."""
    OPEN.add(-1)
    CLOSES.add(1, str(code) if code in _USUAL else "none" if code is None else "other")
