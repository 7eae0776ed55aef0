"""Forged tokens."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
from django.conf import settings

Forgery = Callable[[dict[str, Any]], str]


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token without checking its signature."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def sign(claims: dict[str, Any], key: str = "", algorithm: str = "HS256") -> str:
    """Return a token signed with the server's key, or with another key or algorithm."""
    return jwt.encode(claims, key or settings.JWT_SECRET, algorithm=algorithm)


def _without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


def _swap_payload(claims: dict[str, Any]) -> str:
    head, _, signature = sign(claims).split(".")
    return f"{head}.{sign(claims | {'role': 'admin'}).split('.')[1]}.{signature}"


# Each makes a bad token from the claims of a valid one.
FORGERIES: dict[str, Forgery] = {
    "expired": lambda c: sign(c | {"exp": datetime.now(UTC) - timedelta(seconds=11)}),
    "issued tomorrow": lambda c: sign(c | {"iat": datetime.now(UTC) + timedelta(days=1)}),
    "never expiring": lambda c: sign(_without(c, "exp")),
    "unsigned": lambda c: jwt.encode(c, "", algorithm="none"),
    "signed by another key": lambda c: sign(c, key="x" * 64),
    "signed by another algorithm": lambda c: sign(c, algorithm="HS512"),
    "of another issuer": lambda c: sign(c | {"iss": "elsewhere"}),
    "of no issuer": lambda c: sign(_without(c, "iss")),
    "of an unknown type": lambda c: sign(c | {"typ": "sliding"}),
    "of no type": lambda c: sign(_without(c, "typ")),
    "without an id": lambda c: sign(_without(c, "jti")),
    "without a session": lambda c: sign(_without(c, "sid")),
    "of an unknown session": lambda c: sign(c | {"sid": str(uuid4())}),
    "of a session that is no UUID": lambda c: sign(c | {"sid": "1"}),
    "of a session that is no text": lambda c: sign(c | {"sid": {"a": 1}}),
    "with another payload": _swap_payload,
    "cut off": lambda c: sign(c)[:-4],
    "garbage": lambda _: "garbage",
    "dots": lambda _: "..",
    "beyond ASCII": lambda _: "é.é.é",
}
