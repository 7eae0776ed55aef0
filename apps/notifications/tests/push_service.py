"""A push service of the tests on this machine, with TLS, and browsers that read what it is sent."""

import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from apps.notifications.push_encryption import CURVE, encoded, point
from apps.notifications.web_push import Network

HOST = "push.example.com"


def make_certificate(folder: Path) -> Path:
    """Return a file with a certificate of HOST, which it signs itself, and its key."""
    key, now = ec.generate_private_key(CURVE), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "push.pem"
    path.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return path


def network_at(port: int, certificate: Path, time_limit: float = 10.0) -> Network:
    """Return a network in which every host is this port, and the certificate is good."""
    return Network(
        lambda _: [("127.0.0.1", port)],
        lambda: ssl.create_default_context(cafile=certificate),
        time_limit,
    )


@dataclass
class PushService:
    """What it answers, and what it was sent: the path, the headers and the body of each."""

    network: Network
    status: int = 201
    answer: Mapping[str, str] = field(default_factory=dict)
    # By path, what goes before the status.
    statuses: dict[str, int] = field(default_factory=dict)
    heard: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)


@contextmanager
def push_service_on(certificate: Path) -> Iterator[PushService]:
    """Run a push service in the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.heard.append((self.path, dict(self.headers), body))
            self.send_response(service.statuses.get(self.path, service.status))
            for name, value in service.answer.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service = PushService(network_at(server.server_address[1], certificate))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield service
        server.shutdown()


@dataclass
class Browser:
    """A browser with its endpoint and keys, which nobody else can read the messages of."""

    name: str
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(CURVE), repr=False
    )
    auth: bytes = b"sixteen bytes it"

    @property
    def subscription(self) -> dict[str, Any]:
        """Return what PushSubscription.toJSON() returns in a browser."""
        return {
            "endpoint": f"https://{HOST}/{self.name}",
            "expirationTime": None,
            "keys": {"p256dh": encoded(point(self.key.public_key())), "auth": encoded(self.auth)},
        }

    def received(self, service: PushService) -> list[Any]:
        """Return all messages that the service was sent for this browser, repeated ones too."""
        return [self.read(body) for path, _, body in service.heard if path == f"/{self.name}"]

    def shown(self, service: PushService) -> Sequence[Any]:
        """Return the messages that it shows: of each id the first."""
        first: dict[str, Any] = {}
        for message in self.received(service):
            first.setdefault(message["id"], message)
        return list(first.values())

    def read(self, body: bytes) -> Any:
        """Return the message of what was sent for this browser."""
        salt, theirs, sealed = body[:16], body[21:86], body[86:]
        sender = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, theirs)
        shared = self.key.exchange(ec.ECDH(), sender)
        ours = point(self.key.public_key())
        secret = _derived(shared, self.auth, b"WebPush: info\0" + ours + theirs, 32)
        key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
        return orjson.loads(AESGCM(key).decrypt(nonce, sealed, None).removesuffix(b"\x02"))


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)
