"""Client addresses: their canonical spelling, and the network by which a client is counted."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

LONGEST = 64
# Of how many texts the result is remembered: a client sends many requests from one address.
REMEMBERED = 4096
# How many bits of an address area_of() keeps, by the version of IP.
AREA_BITS = {4: 24, 6: 48}

# "[2001:db8::1]:443", "[2001:db8::1]" and "192.0.2.1:443", as proxies write them.
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]*)\](?::\d+)?|(?P<v4>[^:]*):\d+")


@lru_cache(REMEMBERED)
def address_of(text: str) -> str:
    """Return an address in its canonical spelling: without port, brackets and zone, IPv4 as IPv4.

    The text is what a socket or a proxy writes. IPv4 that is mapped into IPv6 (RFC 4291, 2.5.5.2)
    is unmapped. Text that is not an address is returned cut to LONGEST characters.
    """
    found = _parsed(text)
    return text[:LONGEST] if found is None else str(found)


@lru_cache(REMEMBERED)
def network_of(text: str) -> str:
    """Return the network whose addresses belong to one client, as text.

    It takes the same text as address_of(). An IPv4 address is its own network. An IPv6 address is
    returned as its /64, the smallest network that a provider assigns (RFC 6177): within it a client
    may change its address at will (RFC 8981). Text that is not an address is returned cut to
    LONGEST characters.
    """
    found = _parsed(text)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, 64), strict=False))
    return text[:LONGEST] if found is None else str(found)


def area_of(text: str) -> str:
    """Return an address without its last part, as text: the first 24 bits of IPv4, the first 48 of
    IPv6. That is about a provider's street or company, not one household. Return nothing for text
    that is not an address."""
    found = _parsed(text)
    if found is None:
        return ""
    return str(ip_network((found, AREA_BITS[found.version]), strict=False).network_address)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    bare = text.strip()
    if match := _WITH_PORT.fullmatch(bare):
        bare = match["v6"] or match["v4"] or ""
    try:
        found = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
