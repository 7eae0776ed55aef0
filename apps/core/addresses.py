"""Client addresses, written in one way and counted by the network that one client holds."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

LONGEST = 64

# "[2001:db8::1]:443", "[2001:db8::1]" and "192.0.2.1:443", as proxies write them.
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]*)\](?::\d+)?|(?P<v4>[^:]*):\d+")


def network_of(address: str) -> str:
    """Return the network whose addresses belong to one client, as text.

    Takes an address as a socket or a proxy writes it, with or without a port or a zone. IPv4
    stands for itself, also when it comes mapped into IPv6 (RFC 4291, 2.5.5.2). IPv6 is returned
    as its /64, the least that a provider assigns (RFC 6177), within which a client may change its
    address at will (RFC 8981). What is not an address is returned cut to LONGEST characters.
    """
    text = address.strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match["v6"] or match["v4"] or ""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return address[:LONGEST]
    plain = _unmapped(found)
    return str(plain) if plain.version == 4 else str(ip_network((plain, 64), strict=False))


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
