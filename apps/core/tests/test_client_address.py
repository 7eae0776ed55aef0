"""The address of a client behind trusted proxies."""

import pytest
from pytest_django import Settings

from apps.core.http.middleware import address_behind

PEER = "10.0.0.1"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "", PEER),
        (0, "1.1.1.1", PEER),
        (0, "1.1.1.1, 2.2.2.2", PEER),
        (1, "", PEER),
        (1, "2.2.2.2", "2.2.2.2"),
        (1, "1.1.1.1, 2.2.2.2", "2.2.2.2"),
        (1, "1.1.1.1,,2.2.2.2", "2.2.2.2"),
        (1, " , ", PEER),
        (2, "1.1.1.1, 2.2.2.2, 3.3.3.3", "2.2.2.2"),
        (2, "3.3.3.3", "3.3.3.3"),
        (10, "1.1.1.1, 2.2.2.2", "1.1.1.1"),
    ],
)
def test_each_trusted_proxy_vouches_for_one_address(
    settings: Settings, proxies: int, forwarded: str, address: str
) -> None:
    """A client must not escape the rate limit with an X-Forwarded-For of its own."""
    settings.SERVER_TRUSTED_PROXIES = proxies
    assert address_behind(PEER, forwarded) == address


@pytest.mark.parametrize("written", ["2.2.2.2", "2.2.2.2:80", "::ffff:2.2.2.2", "[::FFFF:202:202]"])
@pytest.mark.parametrize("proxies", [0, 1])
def test_all_spellings_of_an_address_are_one_client(
    settings: Settings, proxies: int, written: str
) -> None:
    settings.SERVER_TRUSTED_PROXIES = proxies
    peer, forwarded = (PEER, f"1.1.1.1, {written}") if proxies else (written, "")
    assert address_behind(peer, forwarded) == "2.2.2.2"


@pytest.mark.parametrize(
    "hostile",
    ["", ",", ", ,,", "," * 1_000_000, "1.1.1.1," * 100_000, "x" * 1_000_000, '"; drop', "[", "\0"],
    ids=range(9),
)
def test_a_forged_header_does_not_hide_the_address_that_the_proxy_adds(
    settings: Settings, hostile: str
) -> None:
    """A client must not escape the rate limit with an X-Forwarded-For of its own."""
    settings.SERVER_TRUSTED_PROXIES = 1
    assert address_behind(PEER, f"{hostile}, 2.2.2.2") == "2.2.2.2"
    settings.SERVER_TRUSTED_PROXIES = 2
    assert address_behind(PEER, f"{hostile}, 2.2.2.2, 10.0.0.2") == "2.2.2.2"


@pytest.mark.parametrize("garbage", ["unknown", "x" * 1_000_000, "_hidden", "é", "1.2.3"], ids=len)
def test_text_that_is_not_an_address_is_cut(settings: Settings, garbage: str) -> None:
    settings.SERVER_TRUSTED_PROXIES = 1
    assert address_behind(PEER, garbage) == garbage[-1024:][:64]


@pytest.mark.parametrize("blank", ["," * 1_000_000, " " * 1_000_000, ", " * 500_000], ids=range(3))
def test_empty_hops_are_ignored(settings: Settings, blank: str) -> None:
    settings.SERVER_TRUSTED_PROXIES = 10
    assert address_behind(PEER, blank) == PEER
