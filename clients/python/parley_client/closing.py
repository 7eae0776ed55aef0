"""Close codes of the websocket, and what a client does after each of them."""

from enum import Enum

TOO_BIG = 1009
RESTART = 1012
MALFORMED = 4400
UNAUTHORIZED = 4401
SLOW_READER = 4408
TOO_MANY_FRAMES = 4429
SESSION_REVOKED = 4501
TOO_MANY_SOCKETS = 4502

CODES = {
    TOO_BIG,
    RESTART,
    MALFORMED,
    UNAUTHORIZED,
    SLOW_READER,
    TOO_MANY_FRAMES,
    SESSION_REVOKED,
    TOO_MANY_SOCKETS,
}
# What a library reports of a connection that ended without a close frame.
ABNORMAL = 1006


class Then(Enum):
    """What a client does after a close."""

    RECONNECT = "reconnect after a delay that grows"
    RECONNECT_LATER = "reconnect after a random 1 to 10 seconds"
    LOG_IN = "get new credentials, then reconnect"
    STOP = "do not come back"


def after(code: int) -> Then:
    """Return what a client does after a close with that code."""
    if code == RESTART:
        return Then.RECONNECT_LATER
    if code == UNAUTHORIZED:
        return Then.LOG_IN
    return Then.STOP if 4500 <= code <= 4999 else Then.RECONNECT
