"""Which requests to a real server count against the limit of their address, and which do not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from apps.accounts.tests.people import elsewhere
from testing.server import ServerProcess

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
PREFLIGHT = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET"}
Request = tuple[str, str, dict[str, str]]

# One path of each kind; test_request_limits.py has all of them.
COUNTED: list[Request] = [
    *(("GET", path, {}) for path in ("/", "/nothing", "/api/v1/posts", "/static/nothing")),
    ("POST", "/api/v1/auth/login", {}),
    ("OPTIONS", "/api/v1/posts", {}),
    ("GET", "/ws", HANDSHAKE),
    ("GET", "/ws/connect", HANDSHAKE),
]
NEVER: list[Request] = [
    ("GET", "/health", {}),
    ("GET", "/ready", {}),
    ("OPTIONS", "/api/v1/posts", PREFLIGHT),
]


def test_all_requests_count_but_health_checks_and_preflights(
    start_server: Callable[..., ServerProcess],
) -> None:
    server = start_server(
        RATE_LIMIT_BURST="2", RATE_LIMIT_REQUESTS_PER_SECOND="1", SERVER_TRUSTED_PROXIES="1"
    )

    def refused(request: Request) -> bool:
        """Send it eight times at once from a new address; return whether some are refused. Some
        must not be."""
        method, path, headers = request
        headers = headers | {"X-Forwarded-For": elsewhere()}
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(client.request, method, path, headers=headers) for _ in range(8)]
        statuses = {one.result().status_code for one in asked}
        assert statuses != {429}
        return 429 in statuses

    with httpx.Client(base_url=server.url, timeout=30) as client, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(refused, COUNTED + NEVER)) == [True] * 8 + [False] * 3
