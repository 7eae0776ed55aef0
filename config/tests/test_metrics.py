"""GET /metrics: who may read it, and what it tells."""

import asyncio
import json
import logging
import os
import re
import threading
import time
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

import apps.jobs.worker  # noqa: F401
import config.websocket  # noqa: F401
from apps.accounts.tests.people import Person
from apps.core.features import features
from apps.core.metrics import StoredGauge, declared
from apps.jobs.models import Job
from apps.jobs.selectors import oldest_due_seconds, open_jobs
from apps.realtime.connection_log import OPEN
from apps.realtime.tests.test_losing_nothing import send
from config import metrics, metrics_files
from config.health_checks import HealthCheck, HealthChecks
from config.metrics import MetricsEndpoint, StoredNumbers, may_read
from config.metrics_files import GONE_SECONDS, SharedMetrics
from config.tests.pages import section
from config.tests.test_health import Hanging, other_application
from testing.asgi import request
from testing.server import ServerProcess, until
from testing.socket import TestSocket

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1")]
OFFICE = [ip_network("203.0.113.0/24")]


def numbers(text: str) -> dict[tuple[str, ...], float]:
    """Return each number by its name and the values of its labels in the order of their names, as
    Prometheus reads them."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(server: ServerProcess) -> dict[tuple[str, ...], float]:
    answer = server.call("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return numbers(answer.text)


def endpoint(directory: str = "") -> MetricsEndpoint:
    checks = HealthChecks(HealthCheck("database", lambda: None), None)
    return MetricsEndpoint(other_application, SharedMetrics(directory), checks)


def scope(peer: str, *forwarded: str) -> dict[str, Any]:
    lines = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return {"client": (peer, 1234), "headers": lines}


# Who may read.


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_the_machine_itself_may_read(peer: str) -> None:
    assert may_read(scope(peer), LOOPBACK)


@pytest.mark.parametrize("peer", ["203.0.113.7", "::2", "", "unix"])
def test_nobody_else_may(peer: str) -> None:
    assert not may_read(scope(peer), LOOPBACK)


def test_a_named_network_may(settings: Any) -> None:
    assert may_read(scope("203.0.113.7"), OFFICE)
    assert not may_read(scope("203.0.114.7"), OFFICE)
    assert not may_read(scope("127.0.0.1"), OFFICE)


def test_behind_a_proxy_the_client_counts(settings: Any) -> None:
    settings.SERVER_TRUSTED_PROXIES = 1
    assert may_read(scope("10.0.0.1", "203.0.113.7"), OFFICE)
    assert not may_read(scope("203.0.113.1", "198.51.100.7"), OFFICE)
    # What the client itself has written does not.
    assert not may_read(scope("10.0.0.1", "203.0.113.7, 198.51.100.7"), OFFICE)


def test_a_proxy_that_nobody_told_us_of_opens_it_to_nobody() -> None:
    """Every client of such a proxy seems to be the machine itself."""
    assert not may_read(scope("127.0.0.1", "198.51.100.7"), LOOPBACK)


def test_a_header_makes_nobody_the_machine_itself(settings: Any) -> None:
    settings.SERVER_TRUSTED_PROXIES = 1
    assert not may_read(scope("198.51.100.7", "127.0.0.1"), LOOPBACK)


def test_for_others_it_is_not_there(settings: Any) -> None:
    settings.METRICS_ADDRESSES = OFFICE
    assert request(endpoint(), "/metrics").status == 418
    settings.METRICS_ADDRESSES = LOOPBACK
    assert request(endpoint(), "/metrics", "POST").status == 418
    assert request(endpoint(), "/metrics/").status == 418
    assert request(endpoint(), "/health").status == 418


# What it tells.


def test_every_metric_is_described_with_its_kind() -> None:
    table = section("operations.md", "Metrics")
    rows = re.findall(r"^\| `(parley_\w+)` \| (\w+) \|", table, re.MULTILINE)
    stored = [one for each in features().values() for one in each.stored_metrics]
    of_answer = {"parley_build_info": "gauge", "parley_dependency_up": "gauge"}
    kinds = {metric.name: metric.kind for metric in (*declared(), *stored)}
    assert dict(rows) == kinds | of_answer


def test_it_is_logged_like_health(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thread that asked the database would keep its connection.
    monkeypatch.setattr(metrics, "features", dict)
    caplog.set_level(logging.DEBUG, "parley.request")
    answer = request(endpoint(), "/metrics")
    assert answer.status == 200
    [record] = [one for one in caplog.records if one.name == "parley.request"]
    assert record.levelno == logging.DEBUG
    assert request(endpoint(), "/metrics", "HEAD").body == b""


@pytest.mark.django_db
def test_it_tells_which_jobs_wait_and_for_how_long() -> None:
    now = timezone.now()
    waiting = {
        "task": "apps.jobs.upkeep.prune",
        "queue": "default",
        "priority": 0,
        "max_attempts": 3,
        "created_at": now,
    }
    Job.objects.create(**waiting, due_at=now - timedelta(seconds=90))
    Job.objects.create(**waiting, due_at=now + timedelta(seconds=90))
    Job.objects.create(**waiting, status="completed", finished_at=now)
    Job.objects.create(**waiting, status="failed", finished_at=now)
    assert open_jobs() == {("default", "pending"): 2, ("default", "failed"): 1}
    waits = oldest_due_seconds()
    assert 90 <= waits[("default",)] < 150
    assert waits[("upkeep",)] == 0


def test_a_database_that_hangs_is_left_out_and_asked_once(db: Any) -> None:
    hanging = Hanging(frozen=True)

    def cakes() -> dict[tuple[str, ...], float]:
        hanging()
        return {(): 1.0}

    gauge = StoredGauge("parley_cakes", "Cakes.", (), cakes)

    async def read_again_and_again() -> None:
        stored = StoredNumbers([gauge])
        try:
            assert await stored.read() == {}
            assert await stored.read() == {}
            assert hanging.checks == 1
        finally:
            hanging.thaw()
        assert await stored.read() == {gauge: {(): 1.0}}

    asyncio.run(read_again_and_again())


def test_two_who_ask_at_once_are_both_answered_when_the_database_fails() -> None:
    def cakes() -> dict[tuple[str, ...], float]:
        raise OperationalError

    async def read_twice_at_once() -> None:
        stored = StoredNumbers([StoredGauge("parley_cakes", "Cakes.", (), cakes)])
        assert list(await asyncio.gather(stored.read(), stored.read())) == [{}, {}]

    asyncio.run(read_twice_at_once())


def test_a_process_answers_for_those_that_share_its_directory(tmp_path: Path) -> None:
    """What one that has ended did counts on; what it had open does not."""
    now = time.time()
    for name, at in (("1.json", now), ("2.json", now - 2 * GONE_SECONDS)):
        path = tmp_path / name
        path.write_text(
            '{"parley_websockets":[[[],5]],"parley_websocket_closes_total":[[["4408"],7]]}'
        )
        os.utime(path, (at, at))
    own = SharedMetrics(str(tmp_path))
    own.stop()
    before = SharedMetrics("").counted()
    shared = own.counted()
    assert shared[OPEN.name][()] == before[OPEN.name][()] + 5
    closes = "parley_websocket_closes_total"
    assert shared[closes][("4408",)] == before[closes].get(("4408",), 0) + 14


def test_a_process_that_stops_while_it_writes_leaves_a_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, failures = SharedMetrics(str(tmp_path)), Mock()
    monkeypatch.setattr(metrics_files, "log", Mock(warning=failures))

    def write() -> None:
        for _ in range(100):
            own._write(tmp_path)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    own.stop()
    assert not failures.called
    [left] = tmp_path.iterdir()
    assert OPEN.name in json.loads(left.read_text())


@pytest.mark.integration
def test_a_server_counts_what_it_does(server: ServerProcess, alice: Person, bob: Person) -> None:
    before = read(server)

    def more(*name: str) -> float:
        return read(server).get(name, 0) - before.get(name, 0)

    with TestSocket(server.url, token=bob.access) as socket:
        socket.expect("connected")
        send(server, alice, bob, "Hello")
        socket.expect("chat_message")
        assert read(server)[("parley_websockets",)] == 1
        assert more("parley_websocket_connects_total") == 1
        assert more("parley_messages_stored_total") == 1
        assert more("parley_events_published_total") >= 2
        assert more("parley_frames_delivered_total") >= 1
        sent = "parley_http_request_duration_seconds_count", "POST", "/api/v1/messages", "2xx"
        assert more(*sent) == 1
    until(lambda: read(server)[("parley_websockets",)] == 0)
    assert more("parley_websocket_closes_total", "1000") == 1
    found = read(server)
    assert found[("parley_dependency_up", "database")] == 1
    assert ("parley_jobs_oldest_due_seconds", "default") in found


@pytest.mark.integration
def test_a_catch_up_and_a_reset_are_counted(
    server: ServerProcess, alice: Person, bob: Person
) -> None:
    before = read(server)

    def more(*name: str) -> float:
        return read(server).get(name, 0) - before.get(name, 0)

    send(server, alice, bob, "Hello")
    stream = f"user.{bob.user.pk}"
    with TestSocket(server.url, token=bob.access) as socket:
        socket.expect("connected")
        socket.send("subscribe", {"stream": stream, "after": 0}, requestId="1")
        socket.expect("subscribed")
        assert more("parley_catch_ups_total") == 1
        assert more("parley_events_caught_up_total") >= 1
        socket.send("subscribe", {"stream": stream, "after": 1000}, requestId="2")
        socket.expect("reset")
        assert more("parley_resets_total") == 1
