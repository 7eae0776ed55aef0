"""What is pushed to a browser, and what becomes of it."""

import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from apps.core.errors import Invalid
from apps.notifications.push_encryption import CURVE, LONGEST, decoded, encoded, encrypt, point
from apps.notifications.push_endpoints import (
    NotPublic,
    is_public,
    public_addresses,
    require_auth,
    require_endpoint,
    require_p256dh,
)
from apps.notifications.tests.push_service import HOST, PushService, network_at
from apps.notifications.vapid import private_key, public_key
from apps.notifications.web_push import Outcome, Result, Sender, Target, web_push

# The example of RFC 8291, section 5.
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
# The same point in its short form.
COMPRESSED = encoded(bytes([2 + decoded(P256DH)[-1] % 2]) + decoded(P256DH)[1:33])
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS"
    "6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qu"
    "lcy4a-fN"
)
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


def test_a_message_arrives_with_its_id_and_the_signature_of_the_server(
    push_service: PushService,
) -> None:
    assert web_push(ALICE, {"title": "Hi"}, ID, US, push_service.network).result is Result.SENT
    [(path, headers, _)] = push_service.heard
    assert (path, headers["Topic"], headers["Content-Encoding"]) == ("/alice", ID.hex, "aes128gcm")
    token = headers["Authorization"].removeprefix("vapid t=").partition(",")[0]
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
        (500, {"Retry-After": "Mon, 01 Jan 99999999999 00:00:00 GMT"}, Result.LATER, None),
        (500, {"Retry-After": f"Mon, 01 Jan 2024 00:00:00 +{'9' * 20}"}, Result.LATER, None),
    ],
)
def test_the_answer_decides_what_becomes_of_a_message(
    push_service: PushService,
    status: int,
    answer: dict[str, str],
    result: Result,
    retry_after: int | None,
) -> None:
    push_service.status, push_service.answer = status, answer
    expected = Outcome(result, f"The push service answers {status}", retry_after)
    assert web_push(ALICE, {}, ID, US, push_service.network) == expected
    assert len(push_service.heard) == 1


def test_a_certificate_of_another_host_is_no_answer(push_service: PushService) -> None:
    bob = Target("https://bob.example.com/bob", P256DH, AUTH)
    assert web_push(bob, {}, ID, US, push_service.network).result is Result.LATER
    assert push_service.heard == []


def test_a_push_service_that_never_answers_ends_at_the_time_limit(certificate: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        network = network_at(silent.getsockname()[1], certificate, time_limit=0.2)
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
        "https://0x7f.0x1/a",
        "https://[::1]/a",
        "https://push.example.com:port/a",
        "https://push.example.com/" + "a" * 2048,
    ],
)
def test_an_endpoint_that_is_no_push_service_is_refused(endpoint: str) -> None:
    with pytest.raises(Invalid) as refused:
        require_endpoint(endpoint)
    assert [error.field for error in refused.value.errors] == ["endpoint"]


@pytest.mark.parametrize("key", ["AAAA", "é", COMPRESSED, P256DH + "!", P256DH[:-4] + "AAAA"])
def test_a_key_that_no_browser_gives_is_refused(key: str) -> None:
    require_p256dh(P256DH)
    with pytest.raises(Invalid) as refused:
        require_p256dh(key)
    assert [error.field for error in refused.value.errors] == ["keys.p256dh"]


@pytest.mark.parametrize("auth", ["AAAA", "é", AUTH + "!"])
def test_a_secret_that_no_browser_gives_is_refused(auth: str) -> None:
    require_auth(AUTH)
    with pytest.raises(Invalid) as refused:
        require_auth(auth)
    assert [error.field for error in refused.value.errors] == ["keys.auth"]


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
