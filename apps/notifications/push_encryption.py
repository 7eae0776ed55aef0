"""The encryption of what is pushed to a browser (RFC 8291), which no push service can read."""

import os
from base64 import b64decode, urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()
POINT_BYTES = 65
AUTH_BYTES = 16
SALT_BYTES = 16
# The size of the record, which is all that is sent: what every push service takes (RFC 8030, 7.2).
RECORD = 4096
# What is left of it for the text, after the head, the mark of the last record and the tag.
LONGEST = RECORD - (SALT_BYTES + 4 + 1 + POINT_BYTES) - 1 - 16


def decoded(text: str) -> bytes:
    """Return the bytes of base64url with or without its padding; raise ValueError."""
    return b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)


def encoded(data: bytes) -> str:
    """Return bytes as base64url without padding, as web push writes them."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key as an uncompressed point, POINT_BYTES long."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def encrypt(
    text: bytes,
    p256dh: bytes,
    auth: bytes,
    *,
    sender: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """Return the body of a push: the text, encrypted to the keys of a subscription.

    The text has at most LONGEST bytes. The sender's key and the salt are new for each message; only
    a test gives them. Raises ValueError for a longer text, or for a key that is no point.
    """
    if len(text) > LONGEST:
        raise ValueError(f"A push has at most {LONGEST} bytes, not {len(text)}")
    sender = sender or ec.generate_private_key(CURVE)
    salt = salt or os.urandom(SALT_BYTES)
    receiver = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, p256dh)
    ours = point(sender.public_key())
    shared = sender.exchange(ec.ECDH(), receiver)
    secret = _derived(shared, auth, b"WebPush: info\0" + p256dh + ours, 32)
    key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + RECORD.to_bytes(4, "big") + bytes([POINT_BYTES]) + ours
    # The 2 marks the last record (RFC 8188, 2).
    return head + AESGCM(key).encrypt(nonce, text + b"\x02", None)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)
