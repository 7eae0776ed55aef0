"""The line of a request is rendered without structlog, and equals what structlog would render."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from apps.core import log_queue
from apps.core.http import request_log
from apps.core.http.request_log import log_request
from apps.core.log_queue import LogQueue
from apps.core.logs import _formatter

REQUEST: dict[str, Any] = {
    "method": "GET",
    "route": "/api/v1/users/(?P<pk>[^/.]+)",
    "status": 200,
    "ms": 12.345,
    "request_id": "0197-ä",
}
REQUESTS = [
    REQUEST,
    {**REQUEST, "user_id": "01a222d6-1648-7bc7-8af9-5f371ef4f020"},
    {**REQUEST, "route": None, "status": 404, "ms": 0.04},
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
    assert ("user_id" in str(ours)) == ("user_id" in request_)


def parsed_json(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    return found


def parsed_text(line: str) -> dict[str, Any]:
    """Return the time of a line for people, and all the rest of it as it is."""
    timestamp, rest = line.split(" ", 1)
    return {"timestamp": timestamp, "rest": rest}


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
