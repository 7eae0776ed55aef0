"""What is pushed to a browser, and what becomes of it."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from apps.core.errors import Invalid
from apps.notifications.push_encryption import CURVE, LONGEST, decoded, encoded, encrypt, point
from apps.notifications.push_endpoints import (
    NotPublic,
    is_public,
    public_addresses,
    require_endpoint,
    require_keys,
)
from apps.notifications.vapid import private_key, public_key
from apps.notifications.web_push import Network, Outcome, Result, Sender, Target, web_push

# The example of RFC 8291, section 5.
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS"
    "6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qu"
    "lcy4a-fN"
)
HOST = "push.example.com"
ALICE = Target(f"https://{HOST}/alice", P256DH, AUTH)
US = Sender("a secret " * 8, "https://parley.example.com")
ID = UUID("0193a000-0000-7000-8000-000000000001")


def test_the_example_of_the_standard_is_encrypted_as_it_says() -> None:
    key = ec.derive_private_key(int.from_bytes(decoded(SENDER), "big"), CURVE)
    text = b"When I grow up, I want to be a watermelon"
    body = encrypt(text, decoded(P256DH), decoded(AUTH), sender=key, salt=decoded(SALT))
    assert encoded(body) == BODY


def test_a_text_fills_one_record_at_most() -> None:
    assert len(encrypt(b"a" * LONGEST, decoded(P256DH), decoded(AUTH))) == 4096
    with pytest.raises(ValueError, match="at most"):
        encrypt(b"a" * (LONGEST + 1), decoded(P256DH), decoded(AUTH))


def test_a_secret_always_gives_the_same_key() -> None:
    assert public_key("one") == encoded(point(private_key("one").public_key()))
    assert public_key("one") != public_key("another")


class Sink(BaseHTTPRequestHandler):
    """A push service that answers every message with one status."""

    status = 201
    answer: dict[str, str] = {}
    heard: list[dict[str, str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append({"path": self.path, **dict(self.headers)})
        self.send_response(self.status)
        for name, value in self.answer.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    path = tmp_path_factory.mktemp("tls") / "push.pem"
    path.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def sink(certificate: Path) -> Iterator[tuple[type[Sink], Network]]:
    handler = type("OneSink", (Sink,), {"heard": []})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        yield handler, _network(certificate, port)
        server.shutdown()


def _network(certificate: Path, port: int, time_limit: float = 10.0) -> Network:
    def tls() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=certificate)

    return Network(lambda _: [("127.0.0.1", port)], tls, time_limit)


def test_a_message_arrives_with_its_id_and_the_signature_of_the_server(
    sink: tuple[type[Sink], Network],
) -> None:
    handler, network = sink
    assert web_push(ALICE, {"title": "Hi"}, ID, US, network).result is Result.SENT
    [heard] = handler.heard
    assert (heard["path"], heard["Topic"], heard["Content-Encoding"]) == (
        "/alice",
        ID.hex,
        "aes128gcm",
    )
    token = heard["Authorization"].removeprefix("vapid t=").partition(",")[0]
    key = private_key(US.secret).public_key()
    claims = jwt.decode(token, key, algorithms=["ES256"], audience=f"https://{HOST}")
    assert claims["sub"] == US.contact


@pytest.mark.parametrize(
    ("status", "answer", "result", "retry_after"),
    [
        (404, {}, Result.GONE, None),
        (410, {}, Result.GONE, None),
        (400, {}, Result.REFUSED, None),
        (413, {}, Result.REFUSED, None),
        (302, {"Location": f"https://{HOST}/elsewhere"}, Result.REFUSED, None),
        (429, {"Retry-After": "30"}, Result.LATER, 30),
        (503, {"Retry-After": "99999999999999"}, Result.LATER, 24 * 3600),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, Result.LATER, 0),
        (500, {"Retry-After": "soon"}, Result.LATER, None),
    ],
)
def test_the_answer_decides_what_becomes_of_a_message(
    sink: tuple[type[Sink], Network],
    status: int,
    answer: dict[str, str],
    result: Result,
    retry_after: int | None,
) -> None:
    handler, network = sink
    handler.status, handler.answer = status, answer
    expected = Outcome(result, f"The push service answers {status}", retry_after)
    assert web_push(ALICE, {}, ID, US, network) == expected
    assert len(handler.heard) == 1


def test_a_certificate_of_another_host_is_no_answer(sink: tuple[type[Sink], Network]) -> None:
    handler, network = sink
    bob = Target("https://bob.example.com/bob", P256DH, AUTH)
    assert web_push(bob, {}, ID, US, network).result is Result.LATER
    assert handler.heard == []


def test_a_push_service_that_never_answers_ends_at_the_time_limit(certificate: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        network = _network(certificate, silent.getsockname()[1], time_limit=0.2)
        assert web_push(ALICE, {}, ID, US, network).result is Result.LATER


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.com/a",
        "https://push.example.com:8443/a",
        "https://user@push.example.com/a",
        "https://push.example.com/a#b",
        "https://push.example.com/a b",
        "https://localhost/a",
        "https://127.0.0.1/a",
        "https://0x7f.1/a",
        "https://[::1]/a",
        "https://push.example.com:port/a",
        "https://push.example.com/" + "a" * 2048,
    ],
)
def test_an_endpoint_that_is_no_push_service_is_refused(endpoint: str) -> None:
    with pytest.raises(Invalid) as refused:
        require_endpoint(endpoint)
    assert [error.field for error in refused.value.errors] == ["endpoint"]


@pytest.mark.parametrize(
    ("p256dh", "auth", "field"),
    [("AAAA", AUTH, "keys.p256dh"), ("é", AUTH, "keys.p256dh"), (P256DH, "AAAA", "keys.auth")],
)
def test_keys_that_no_browser_gives_are_refused(p256dh: str, auth: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        require_keys(p256dh, auth)
    assert [error.field for error in refused.value.errors] == [field]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:4700::1111", True),
        *[(one, False) for one in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1")],
        *[(one, False) for one in ("0.0.0.0", "224.0.0.1", "240.0.0.1", "::1", "fe80::1")],  # noqa: S104
        *[(one, False) for one in ("fd00::1", "fec0::1", "ff02::1", "::ffff:10.0.0.1")],
        *[(one, False) for one in ("64:ff9b::a00:1", "2002:a00:1::1", "2001:0:a00:1::1")],
    ],
)
def test_only_addresses_on_the_public_internet_are_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


def test_a_host_with_one_private_address_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(0, 0, 0, "", (one, 443)) for one in ("93.184.215.14", "10.0.0.1")]
    lookup: Callable[..., object] = lambda *_, **__: found  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(NotPublic):
        public_addresses(HOST)
    assert web_push(ALICE, {}, ID, US).result is Result.REFUSED
