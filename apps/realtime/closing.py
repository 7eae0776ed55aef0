"""Close codes of the websocket. A client reconnects after 4000-4499, and not after 4500-4999."""

MALFORMED = 4400
UNAUTHORIZED = 4401
SLOW_READER = 4408
TOO_MANY_FRAMES = 4429
SESSION_REVOKED = 4501
TOO_MANY_SOCKETS = 4502

# The reason that the server sends with each code of its own.
REASONS = {
    MALFORMED: "three frames that were not JSON objects",
    UNAUTHORIZED: "bad or expired credentials",
    SLOW_READER: "frames were not read in time; reconnect and resume",
    TOO_MANY_FRAMES: "too many frames",
    SESSION_REVOKED: "the session is over",
    TOO_MANY_SOCKETS: "too many sockets",
}
# Every code that a client may receive that keeps to the protocol of websockets, which has the first
# two itself.
CODES = {
    1009: "the frame was too big",
    1012: "the server restarts; come back after a random 1 to 10 seconds",
    **REASONS,
}
