"""What the headers of a request say, for requests that are answered without Django."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from apps.core.addresses import network_of
from apps.core.http.head_lines import head_lines
from apps.core.http.middleware import address_behind, valid_request_id
from apps.core.http.negotiation import surely_accepts_json

# Of how many addresses it is remembered who is behind them.
REMEMBERED = 2048
# A request with a longer address or header is left to the view: what is parsed is remembered, and
# the memory for that must not depend on clients.
LONGEST_VALUE = 512
# The headers that change the answer to a GET. A request that has one of them twice is left to the
# view.
USED = {
    b"accept",
    b"authorization",
    b"host",
    b"if-none-match",
    b"origin",
    b"user-agent",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-request-id",
}


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What the headers of a request say: the lines that they add to the head of the answer, the
    value of Authorization, and who asks for what. Later requests of a client often repeat it."""

    lines: bytes
    authorization: str | None
    address: str
    network: str
    user_agent: str
    if_none_match: str
    request_id: str


def read_head(headers: Sequence[tuple[bytes, bytes]], peer: str) -> RequestHead | None:
    """Return what the headers of a client at this address say, None if the view must read them."""
    given = used(headers, USED)
    if given is None or not surely_accepts_json(given.get(b"accept", "*/*")):
        return None
    lines = head_lines(
        given.get(b"host", ""), given.get(b"origin"), given.get(b"x-forwarded-proto")
    )
    if lines is None:
        return None
    address = _address_behind(peer, given.get(b"x-forwarded-for", ""))
    return RequestHead(
        lines,
        given.get(b"authorization"),
        address,
        network_of(address),
        given.get(b"user-agent", ""),
        given.get(b"if-none-match", ""),
        valid_request_id(given.get(b"x-request-id", "")),
    )


def used(
    headers: Sequence[tuple[bytes, bytes]], names: Collection[bytes]
) -> dict[bytes, str] | None:
    """Return those of the headers that matter; None if one of them is longer or more often there
    than usual."""
    given: dict[bytes, str] = {}
    for name, value in headers:
        if name in names:
            if name in given or len(value) > LONGEST_VALUE:
                return None
            given[name] = value.decode("latin-1")
    return given


@lru_cache(REMEMBERED)
def _address_behind(peer: str, forwarded_for: str) -> str:
    return address_behind(peer, forwarded_for)
