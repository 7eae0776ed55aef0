"""The key by which push services know this server, and what it signs with it (RFC 8292)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from functools import lru_cache
from hashlib import sha512
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from apps.notifications.push_encryption import CURVE, encoded, point

# The order of the curve (SEC 2, 2.4.2).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# For how long a signature is good; push services refuse more than a day.
GOOD_FOR = timedelta(hours=12)


@lru_cache(1)
def private_key(secret: str) -> ec.EllipticCurvePrivateKey:
    """Return the key that follows from a secret of 64 random bytes, always the same one.

    A number of twice the bits, taken modulo the order, favours no key (FIPS 186-5, A.2.1).
    """
    number = int.from_bytes(sha512(secret.encode()).digest(), "big")
    return ec.derive_private_key(number % (ORDER - 1) + 1, CURVE)


def public_key(secret: str) -> str:
    """Return the public key as browsers take it, as their `applicationServerKey`."""
    return encoded(point(private_key(secret).public_key()))


@dataclass(frozen=True)
class PushKey:
    """The public key of this server."""

    public_key: str


def push_key() -> PushKey:
    """Return the public key of this server."""
    return PushKey(public_key(settings.VAPID_SECRET))


def contact() -> str:
    """Return where push services find the operator: the address of the server, or that of its mails
    if it has no public one."""
    if settings.APP_URL.startswith("https:"):
        return str(settings.APP_URL)
    return f"mailto:{parseaddr(settings.DEFAULT_FROM_EMAIL)[1]}"


def authorization(endpoint: str, secret: str, contact: str) -> str:
    """Return the header Authorization of a push to an endpoint. The contact is an address at which
    the push service finds the operator, as https: or mailto:."""
    split = urlsplit(endpoint)
    claims = {
        "aud": f"{split.scheme}://{split.hostname}",
        "exp": int((datetime.now(UTC) + GOOD_FOR).timestamp()),
        "sub": contact,
    }
    token = jwt.encode(claims, private_key(secret), algorithm="ES256")
    return f"vapid t={token}, k={public_key(secret)}"
