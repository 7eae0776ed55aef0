"""Heads of requests that clients repeat: on a connection that stays open, most change nothing but
the address.

To parse a head takes longer than all else that an answer from kept bytes needs.
"""

import re
from collections import OrderedDict

from apps.core.http.request_heads import RequestHead

# A first line that has one meaning only, and no characters that the parser might refuse.
_FIRST_LINE = re.compile(rb"(GET|HEAD) (/api/[\w./?&=%:~+-]*) HTTP/1\.1\r\n")
# How long a request may be whose head is remembered, in bytes, and how many heads are remembered:
# two megabytes.
LONGEST = 2048
MOST = 1024


class RepeatedHeads:
    """What follows the first line of a request, and what it says, by the address of the peer. A
    proxy sends the requests of many clients over the same connections."""

    def __init__(self) -> None:
        # Ordered by last use, the least recently used first.
        self._heads: OrderedDict[tuple[str, bytes], RequestHead] = OrderedDict()

    def remember(self, peer: str, data: bytes, head: RequestHead) -> None:
        """Remember the head of a request. The parser read the data as this one request without a
        body, and nothing of another one."""
        line = _FIRST_LINE.match(data)
        # With an id of its own, no request has the head of another.
        if line is None or len(data) > LONGEST or head.request_id:
            return
        self._heads[peer, data[line.end() :]] = head
        if len(self._heads) > MOST:
            self._heads.popitem(last=False)

    def match(self, peer: str, data: bytes) -> tuple[str, str, RequestHead] | None:
        """Return the method, the target and the head of a request that differs from a remembered
        one in its first line at most; None for any other data."""
        line = None if len(data) > LONGEST else _FIRST_LINE.match(data)
        if line is None:
            return None
        place = peer, data[line.end() :]
        head = self._heads.get(place)
        if head is None:
            return None
        self._heads.move_to_end(place)
        return line[1].decode("ascii"), line[2].decode("ascii"), head

    def forget(self) -> None:
        """Forget all heads."""
        self._heads.clear()


repeated_heads = RepeatedHeads()
