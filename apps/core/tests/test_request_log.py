"""The line of a request is rendered without structlog, and equals what structlog would render."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from apps.core import log_queue
from apps.core.http import request_log
from apps.core.http.request_log import log_request, shown_address
from apps.core.log_queue import LogQueue
from apps.core.logs import _formatter
from apps.core.quick_log import QuickLog

REQUEST: dict[str, Any] = {
    "method": "GET",
    "route": "/api/v1/users/{id}",
    "status": 200,
    "ms": 12.345,
    "request_id": "my-own",
}
ADA = "01a222d6-1648-7bc7-8af9-5f371ef4f020"
REQUESTS = [
    REQUEST,
    {**REQUEST, "user_id": ADA, "address": "203.0.113.77", "created": ADA},
    {**REQUEST, "route": None, "path": "/no\u202ewhere \n", "status": 404, "ms": 0.04},
    {**REQUEST, "method": "M-SEARCH", "ms": 1234567.89, "request_id": "x" * 64},
]


@pytest.fixture
def queue_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], tuple[LogQueue, Any]]]:
    """A function that makes a queue of a format the only handler of all lines, as in a server; it
    returns the queue and a function that returns the written lines."""
    # Another test's request may have left its user there.
    structlog.contextvars.clear_contextvars()
    made: list[LogQueue] = []
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.INFO)
    root.manager._clear_cache()  # type: ignore[attr-defined]

    def make(form: str, output: logging.Handler | None = None) -> tuple[LogQueue, Any]:
        written = io.StringIO()
        queue = LogQueue(output or logging.StreamHandler(written), form)
        queue.setFormatter(_formatter(form))
        monkeypatch.setattr(root, "handlers", [queue])
        made.append(queue)

        def lines() -> list[str]:
            queue.flush()
            return written.getvalue().splitlines()

        return queue, lines

    yield make
    for queue in made:
        queue.close()
    monkeypatch.undo()
    root.manager._clear_cache()  # type: ignore[attr-defined]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("request_", REQUESTS)
def test_a_line_is_what_structlog_renders(
    queue_of: Callable[..., Any],
    form: str,
    request_: dict[str, Any],
) -> None:
    queue, lines = queue_of(form)
    log_request(**request_)
    queue.form = ""
    log_request(**request_)
    ours, structlogs = map(parsed_json if form == "json" else parsed_text, lines())
    assert moment(ours.pop("timestamp")).tzinfo is not None
    assert moment(structlogs.pop("timestamp")).tzinfo is not None
    assert ours == structlogs
    assert ("5f371ef4f020" in str(ours)) == ("user_id" in request_)


def parsed_json(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    return found


def parsed_text(line: str) -> dict[str, Any]:
    """Return the time of a line for people, and all the rest of it as it is."""
    found = re.fullmatch(r"(\d\d)-(\d\d) (\S+) (.+)", line)
    assert found is not None
    month, day, second, rest = found.groups()
    return {"timestamp": f"2026-{month}-{day}T{second}Z", "rest": rest}


def moment(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def test_the_usual_way_does_not_use_structlog(
    queue_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the test above would compare structlog with itself."""
    _, lines = queue_of("json")
    monkeypatch.setattr(request_log, "log", None)
    log_request(**REQUEST)
    assert len(lines()) == 1


def test_a_line_reaches_every_handler(queue_of: Callable[..., Any]) -> None:
    """A handler that somebody adds, such as that of a test, gets a line that it can filter."""
    _, lines = queue_of("json")
    records: list[logging.LogRecord] = []

    class Another(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logging.getLogger().handlers.append(Another())
    log_request(**REQUEST)
    assert [json.loads(line)["request_id"] for line in lines()] == [REQUEST["request_id"]]
    assert [record.name for record in records] == ["parley.request"]


def test_no_request_is_logged_above_the_level(
    queue_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, lines = queue_of("json")
    logger = logging.getLogger("parley.request")
    monkeypatch.setattr(logger, "level", logging.WARNING)
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    log_request(**REQUEST)
    assert lines() == []


def test_lines_that_find_no_room_are_counted(
    queue_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_queue, "MOST_LINES", 0)
    queue, lines = queue_of("json")
    for _ in range(3):
        log_request(**REQUEST)
    monkeypatch.setattr(log_queue, "MOST_LINES", 4096)
    queue.flush()
    log_request(**REQUEST)
    events = [json.loads(line)["event"] for line in lines()]
    assert events == ["3 log lines were lost", "request"]


# What clients may try: another line, a terminal's commands, text that runs backwards, a quote.
HOSTILE = ["/a\nb", "/a\x1b[2Jb", "/a\u202eb", '/a"b', "/a b", "/\ud800", "/a\u2028b", "/\x00"]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_can_neither_end_its_line_nor_change_a_terminal(
    queue_of: Callable[..., Any], form: str, path: str
) -> None:
    _, lines = queue_of(form)
    log_request(**{**REQUEST, "route": None, "path": path})
    [line] = lines()
    assert line.isascii()
    assert line.isprintable()
    if form == "json":
        assert re.fullmatch(r"/[a-zA-Z0-9%?]*", json.loads(line)["path"])


def test_a_long_path_is_cut(queue_of: Callable[..., Any]) -> None:
    _, lines = queue_of("json")
    log_request(**{**REQUEST, "route": None, "path": "/" + "\n" * 100_000})
    assert len(lines()[0]) < 500


def test_a_line_fits_a_terminal(queue_of: Callable[..., Any]) -> None:
    """The longest routes of the API and of the admin's pages, with all that a line may have."""
    _, lines = queue_of("console")
    for route in ("/api/v1/auth/sessions/{session_id}", "/api/v1/messages/conversations"):
        log_request(
            **{**REQUEST, "method": "DELETE", "route": route, "ms": 9999.9},
            user_id=ADA,
            address="203.0.113.77",
        )
    log_request(
        **{**REQUEST, "method": "POST", "route": "/admin/accounts/user/{object_id}/history/"},
        user_id=ADA,
        address="203.0.113.77",
    )
    assert max(map(len, lines())) <= 120


@pytest.mark.parametrize(
    ("how", "address", "shown"),
    [
        ("area", "203.0.113.77", "203.0.113.0"),
        ("area", "2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("area", "::ffff:203.0.113.77", "203.0.113.0"),
        ("full", "203.0.113.77", "203.0.113.77"),
        ("none", "203.0.113.77", None),
        # What a client wrote into X-Forwarded-For.
        ("full", 'x","user_id":"ada', None),
        ("area", "", None),
    ],
)
def test_a_line_shows_as_much_of_the_address_as_is_set(
    queue_of: Callable[..., Any], settings: Any, how: str, address: str, shown: str | None
) -> None:
    settings.LOG_CLIENT_ADDRESS = how
    shown_address.cache_clear()
    _, lines = queue_of("json")
    log_request(**REQUEST, address=address)
    shown_address.cache_clear()
    assert json.loads(lines()[0]).get("address") == shown


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_frequent_line_is_what_structlog_renders(queue_of: Callable[..., Any], form: str) -> None:
    queue, lines = queue_of(form)
    log = QuickLog("parley.event")
    fields = {"subject": ADA, "numbers": {f"user:{ADA}": 12}, "request_id": "r 1\n"}
    log.info("published", **fields)
    queue.form = ""
    log.info("published", **fields)
    if form == "json":
        ours, structlogs = map(parsed_json, lines())
        del ours["timestamp"], structlogs["timestamp"]
        assert ours == structlogs
    else:
        for line in lines():
            assert "published [parley.event]" in line
            assert "numbers=user:5f371ef4f020#12" in line
            assert "subject=5f371ef4f020" in line
            assert r"r 1\n" in line.replace(r"\\n", r"\n")
            assert line.isprintable()
