"""Whose address a request comes from, and whom to believe about it."""

import pytest
from pytest_django import Settings

from apps.core.middleware import address_behind

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
def test_each_trusted_proxy_is_believed_about_one_address(
    settings: Settings, proxies: int, forwarded: str, address: str
) -> None:
    """Original defect 37: the client's own X-Forwarded-For was believed."""
    settings.SERVER_TRUSTED_PROXIES = proxies
    assert address_behind(PEER, forwarded) == address
