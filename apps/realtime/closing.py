"""Close codes of the websocket (contract 7.4). 4000-4499: come back; 4500-4999: do not."""

MALFORMED = 4400
UNAUTHORIZED = 4401
SLOW_READER = 4408
TOO_MANY_FRAMES = 4429
SESSION_REVOKED = 4501
TOO_MANY_SOCKETS = 4502

REASONS = {
    MALFORMED: "three frames that were not JSON objects",
    UNAUTHORIZED: "bad or expired credentials",
    SLOW_READER: "frames were not read in time; reconnect and resume",
    TOO_MANY_FRAMES: "too many frames",
    SESSION_REVOKED: "the session is over",
    TOO_MANY_SOCKETS: "too many sockets",
}
