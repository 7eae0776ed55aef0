"""The network by which a client is counted, and the canonical spelling of an address."""

import pytest

from apps.core.addresses import address_of, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:443", "192.0.2.1"),
        ("::FFFF:C000:201", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("[fe80::1%eth0]:443", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_an_address_is_counted_by_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_two_networks_of_one_provider_are_two_clients() -> None:
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")


@pytest.mark.parametrize(
    "garbage",
    ["", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "010.0.0.1", "[]", "[", "é", "1.2.3.4:x", "%"],
)
def test_text_that_is_not_an_address_is_kept(garbage: str) -> None:
    assert network_of(garbage) == address_of(garbage) == garbage


def test_long_text_that_is_not_an_address_is_cut() -> None:
    assert network_of("x" * 100_000) == address_of("x" * 100_000) == "x" * 64


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\t", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::FFFF:C000:201]:443", "192.0.2.1"),
        ("2001:DB8:0:0::9", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("[2001:db8::9]:443", "2001:db8::9"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_has_one_spelling(written: str, address: str) -> None:
    assert address_of(written) == address
    assert address_of(address) == address
    assert network_of(written) == network_of(address)
