"""What a browser's subscription may be. Users choose the address, so it may be that of anything:
it has to be one at which only a push service is found, and never a machine of our own network."""

import re
import socket
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from apps.core.errors import FieldError, Invalid
from apps.notifications.push_encryption import AUTH_BYTES, CURVE, POINT_BYTES, decoded

LONGEST_ENDPOINT = 2048
HTTPS_PORT = 443
# A name with a dot, whose last part begins with a letter: no address is written like that.
HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")
VISIBLE = re.compile(r"[!-~]+")
# The addresses of IPv6 that are assigned to anybody. The others lead into networks or to IPv4.
ASSIGNED = ip_network("2000::/3")

Address = tuple[str, int]


class NotPublic(Exception):
    """A host has an address that is not on the public internet."""


def require_subscription(endpoint: str, p256dh: str, auth: str) -> None:
    """Raise Invalid, which names each wrong field, unless all are as a browser gives them."""
    checks: Sequence[Callable[[], None]] = (
        partial(require_endpoint, endpoint),
        partial(require_p256dh, p256dh),
        partial(require_auth, auth),
    )
    errors: list[FieldError] = []
    for check in checks:
        try:
            check()
        except Invalid as refusal:
            errors += refusal.errors
    if errors:
        raise Invalid(errors=errors)


def require_endpoint(endpoint: str) -> None:
    """Raise Invalid, which names the field `endpoint`, unless it may be that of a push service."""
    if len(endpoint) > LONGEST_ENDPOINT:
        raise _wrong("endpoint", f"Use at most {LONGEST_ENDPOINT} characters.", "max_length")
    try:
        split = urlsplit(endpoint)
        port = split.port
    except ValueError:
        raise _wrong("endpoint", "This is no address.") from None
    if not VISIBLE.fullmatch(endpoint) or split.scheme != "https" or split.fragment:
        raise _wrong("endpoint", "Use an https address without a fragment.")
    # Every push service has the usual port; any other one would let users try the ports of others.
    if "@" in split.netloc or port not in (None, HTTPS_PORT):
        raise _wrong("endpoint", "Use an address without a user or a port.")
    if not HOST.fullmatch(split.hostname or ""):
        raise _wrong("endpoint", "Use the name of a public host.")


def require_p256dh(key: str) -> None:
    """Raise Invalid, which names the field, unless it is a point as base64url."""
    try:
        data = decoded(key)
        ec.EllipticCurvePublicKey.from_encoded_point(CURVE, data)
    except ValueError:
        data = b""
    # A shorter form of a point is none that browsers give, and would not encrypt to their key.
    if len(data) != POINT_BYTES:
        raise _wrong("keys.p256dh", "This is no point on the curve P-256, as base64url.")


def require_auth(auth: str) -> None:
    """Raise Invalid, which names the field, unless it is a secret as base64url."""
    try:
        size = len(decoded(auth))
    except ValueError:
        size = 0
    if size != AUTH_BYTES:
        raise _wrong("keys.auth", f"Use {AUTH_BYTES} bytes, as base64url.")


def public_addresses(host: str) -> Sequence[Address]:
    """Return where a host is, as addresses with ports; raise NotPublic if any of them is not on the
    public internet, and OSError if it cannot be found.

    Connect to what this returns and never to the name: a name may lead elsewhere a moment later.
    """
    found = socket.getaddrinfo(host, HTTPS_PORT, type=socket.SOCK_STREAM)
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    if not all(is_public(ip_address(address.partition("%")[0])) for address in addresses):
        raise NotPublic
    return [(address, HTTPS_PORT) for address in addresses]


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is one on the public internet of a single machine."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        carries_ipv4 = address.sixtofour is not None or address.teredo is not None
        return address in ASSIGNED and address.is_global and not carries_ipv4
    return address.is_global and not address.is_multicast and not address.is_reserved


def _wrong(field: str, sentence: str, code: str = "invalid") -> Invalid:
    return Invalid.field(field, sentence, code)
