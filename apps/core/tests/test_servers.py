"""The private servers that the suite runs on."""

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from testing import binaries
from testing.binaries import ServerUnavailable
from testing.servers import (
    PrivatePostgres,
    PrivateRedis,
    PrivateServer,
    private_postgres,
    private_redis,
)

OWNER = """
import time
from testing.servers import PrivateRedis
with PrivateRedis() as server:
    print(server.url, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _machine_with_server_programs() -> None:
    """Skip on a machine without server programs; the suite itself reports that loudly."""
    try:
        binaries.postgres_folder()
        binaries.redis_program()
    except ServerUnavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.integration
def test_private_redis_answers_and_is_gone_afterwards() -> None:
    with private_redis() as url:
        assert answers(url)
    assert not answers(url)


@pytest.mark.integration
def test_private_redis_comes_back_empty_on_the_same_port() -> None:
    with PrivateRedis() as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("seen", "1")
        server.stop()
        assert not answers(server.url)
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("seen") is None


@pytest.mark.integration
def test_private_redis_ends_when_its_owner_is_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    with owner.stdout as output:
        url = output.readline().strip()
    assert answers(url)
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 10
    while answers(url):
        assert time.monotonic() < deadline, "Redis outlived its owner."
        time.sleep(0.05)


@pytest.mark.integration
def test_private_postgres_stores_text_of_any_language_and_is_gone_afterwards() -> None:
    with private_postgres() as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT lower('ÄÖ')").fetchone() == ("äö",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)


@pytest.mark.parametrize("kind", [PrivatePostgres, PrivateRedis])
def test_a_machine_without_server_programs_is_told_what_to_install(
    kind: type[PrivateServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries, "POSTGRES_FOLDERS", ())
    monkeypatch.setattr(binaries, "find_spec", lambda _: None)
    with pytest.raises(ServerUnavailable, match="install"):
        kind().start()


def answers(url: str) -> bool:
    """Return whether a Redis answers at the address."""
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False
