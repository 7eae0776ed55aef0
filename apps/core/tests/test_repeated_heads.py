"""Heads of requests that are remembered: which ones, for whom, and how many."""

from typing import Any

import pytest

from apps.core.http import repeated_heads
from apps.core.http.repeated_heads import LONGEST, RepeatedHeads
from apps.core.http.request_heads import RequestHead, read_head

ALICE, BOB = "192.0.2.1", "192.0.2.2"


def request(path: str = "/api/things", **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


def head(peer: str = ALICE, **headers: str) -> RequestHead:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    found = read_head([(b"host", b"localhost"), *pairs], peer)
    assert found is not None
    return found


def test_head_is_that_of_its_own_client() -> None:
    heads = RepeatedHeads()
    of_alice = head(ALICE)
    heads.remember(ALICE, request(), of_alice)
    assert heads.match(ALICE, request("/api/others?x=1")) == ("GET", "/api/others?x=1", of_alice)
    assert heads.match(BOB, request()) is None


@pytest.mark.parametrize(
    "data",
    [
        request("/health"),
        request("/api/th ings"),
        request("/api/th#ings"),
        request().replace(b"1.1", b"1.0"),
        request().replace(b"GET", b"POST"),
        request() + request(),
        request()[:-1],
        b"\r\n" + request(),
        request("/api/" + "x" * LONGEST),
    ],
)
def test_other_data_is_left_to_the_parser(data: bytes) -> None:
    heads = RepeatedHeads()
    heads.remember(ALICE, request(), head())
    assert heads.match(ALICE, data) is None


@pytest.mark.parametrize("headers", [{"x_request_id": "a-request"}, {"cookie": "x" * LONGEST}])
def test_head_that_is_long_or_has_an_id_is_not_remembered(headers: dict[str, Any]) -> None:
    heads = RepeatedHeads()
    heads.remember(ALICE, request(**headers), head(**headers))
    assert heads.match(ALICE, request(**headers)) is None


def test_heads_that_were_not_used_for_longest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repeated_heads, "MOST", 2)
    heads = RepeatedHeads()
    for name in ("a", "b"):
        heads.remember(ALICE, request(cookie=name), head())
    assert heads.match(ALICE, request(cookie="a"))
    heads.remember(ALICE, request(cookie="c"), head())
    found = [name for name in "abc" if heads.match(ALICE, request(cookie=name))]
    assert found == ["a", "c"]
