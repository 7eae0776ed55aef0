"""The head of a connection's last request, for the next one: on a connection that stays open, a
client often changes nothing but the address.

To parse a head takes longer than all else that an answer from kept bytes needs.
"""

import re

from apps.core.http.hot_reads import RequestHead

# A first line that has one meaning only, and no characters that the parser might refuse.
_FIRST_LINE = re.compile(rb"(GET|HEAD) (/api/[\w./?&=%:~+-]*) HTTP/1\.1\r\n")
# How long a request may be whose head is remembered, in bytes.
LONGEST = 2048


class RepeatedHead:
    """What follows the first line of the last request, and what it says; nothing if the last
    request is one that the parser must see again."""

    def __init__(self) -> None:
        self._rest = b""
        self._head: RequestHead | None = None

    def remember(self, data: bytes, head: RequestHead) -> None:
        """Remember the head of a request. The parser read the data as this one request without a
        body, and nothing of another one."""
        line = _FIRST_LINE.match(data)
        if line is not None and len(data) <= LONGEST:
            self._rest, self._head = data[line.end() :], head

    def forget(self) -> None:
        """Let the parser see the next request."""
        self._rest, self._head = b"", None

    def match(self, data: bytes) -> tuple[str, str, RequestHead] | None:
        """Return the method, the target and the head of a request that differs from the last one in
        its first line at most; None for any other data."""
        if self._head is None or not data.endswith(self._rest):
            return None
        line = _FIRST_LINE.match(data)
        if line is None or line.end() + len(self._rest) != len(data):
            return None
        return line[1].decode("ascii"), line[2].decode("ascii"), self._head
