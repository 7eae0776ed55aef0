"""Reports of errors: they say what failed and where, and hold no secret; nothing waits for them."""

import io
import json
import logging
import smtplib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from typing import Any

import pytest
import structlog
from django.core import mail

from apps.core import error_reports
from apps.core.error_reports import ErrorReports, Report, by_email, by_sentry, sentry_event
from apps.core.log_queue import LogQueue
from apps.core.logs import _formatter
from config.checks import settings_safe
from testing.server import run_python

SECRET = "hunter2-of-ada"


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A function that makes a queue with reports the only handler of all lines, as in a server; it
    returns a function that waits for the reports, and the text of the log."""
    structlog.contextvars.clear_contextvars()
    root = logging.getLogger()

    def make(*senders: Callable[[Report], None]) -> tuple[Callable[[], None], io.StringIO]:
        written = io.StringIO()
        handler = ErrorReports(senders)
        queue = LogQueue(logging.StreamHandler(written), "json", handler)
        queue.setFormatter(_formatter("json"))
        monkeypatch.setattr(root, "handlers", [queue])

        def wait() -> None:
            handler.flush()
            queue.flush()

        return wait, written

    yield make
    monkeypatch.undo()


def fail(text: str = SECRET) -> None:
    password = text
    try:
        int(password)
    except ValueError as error:
        raise RuntimeError(f"{password} is no number") from error


def log_failure(text: str = SECRET, **fields: Any) -> None:
    try:
        fail(text)
    except RuntimeError as error:
        structlog.get_logger("parley").error("unexpected exception", exc_info=error, **fields)


def test_an_email_says_what_failed_and_where_without_a_secret(
    reports: Callable[..., Any], settings: Any
) -> None:
    settings.ADMIN_EMAILS = ["ada@example.com"]
    wait, _ = reports(by_email)
    log_failure(request_id="r-1", password=SECRET)
    logging.getLogger("asyncio").error("Exception in callback with %s", SECRET)
    wait()
    ours, of_library = mail.outbox
    assert ours.to == ["ada@example.com"]
    assert ours.subject.endswith("unexpected exception: builtins.RuntimeError")
    assert "request_id: r-1" in ours.body
    assert "builtins.ValueError" in ours.body
    assert "test_error_reports.py" in ours.body
    assert "fail" in ours.body
    for sent in (ours, of_library):
        assert SECRET not in str(sent.message())


def test_a_report_for_sentry_holds_no_secret(reports: Callable[..., Any]) -> None:
    sent: list[Report] = []
    wait, _ = reports(sent.append)
    log_failure(request_id="r-1", password=SECRET)
    wait()
    event = sentry_event(sent[0])
    assert [one["type"] for one in event["exception"]["values"]] == [
        "builtins.ValueError",
        "builtins.RuntimeError",
    ]
    assert event["tags"] == {"request_id": "r-1"}
    assert SECRET not in json.dumps(event)


def test_an_error_that_repeats_is_reported_once_and_counted(
    reports: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_reports, "MOST", 2)
    sent: list[Report] = []
    wait, written = reports(sent.append)
    for number in range(5):
        log_failure(str(number) + "x")
    for name in ("second", "third"):
        structlog.get_logger("parley").error(name)
    wait()
    assert [(one.event, one.withheld) for one in sent] == [
        ("unexpected exception", 0),
        ("second", 4),
    ]
    # The log has all of them.
    assert len(written.getvalue().splitlines()) == 7


def test_nobody_waits_for_a_mail_server_that_hangs(reports: Callable[..., Any]) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def hanging(_: Report) -> None:
        begun.set()
        assert may_end.wait(20)

    wait, written = reports(hanging)
    log_failure()
    assert begun.wait(20)
    structlog.get_logger("parley").error("another")
    logging.getLogger().handlers[0].flush()
    assert len(written.getvalue().splitlines()) == 2
    may_end.set()
    wait()


def test_a_report_that_cannot_be_sent_is_a_line_of_the_log(reports: Callable[..., Any]) -> None:
    def refused(_: Report) -> None:
        structlog.get_logger("parley").error("an error about an error is not reported")
        raise smtplib.SMTPException(SECRET)

    wait, written = reports(refused)
    log_failure("x")
    wait()
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert lines[-1]["event"] == "error report not sent"
    assert lines[-1]["error"] == "SMTPException"
    assert SECRET not in written.getvalue()


def test_warnings_are_not_reported(reports: Callable[..., Any]) -> None:
    sent: list[Report] = []
    wait, _ = reports(sent.append)
    structlog.get_logger("parley").warning("redis is down")
    wait()
    assert sent == []


def test_an_address_of_sentry_without_its_package_stops_the_start(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SENTRY_DSN = "https://key@sentry.example/1"
    monkeypatch.setattr("config.checks.find_spec", lambda name: None)
    [found] = [one for one in settings_safe(None) if one.id == "parley.E005"]
    assert "sentry-sdk is not installed" in found.msg
    assert "requirements-sentry.txt" in str(found.hint)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADMIN_EMAILS", "ada"),
        ("EMAIL_URL", "mail.example.com"),
        ("EMAIL_URL", "http://mail.example.com"),
        ("APP_URL", "parley.example.com"),
        ("APP_URL", "ftp://parley.example.com"),
        ("SENTRY_DSN", "https://sentry.example/1"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_write(name: str, value: str) -> None:
    ended = run_python(
        "-c", "from config import env, settings; print(env.problems)", **{name: value}
    )
    assert f"Problem(name='{name}'" in ended.stdout


@pytest.mark.skipif(find_spec("sentry_sdk") is None, reason="sentry-sdk is an extra")
def test_sentry_gets_a_report(reports: Callable[..., Any]) -> None:
    got: list[bytes] = []
    arrived = threading.Event()

    class Sentry(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            arrived.set()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Sentry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    dsn = f"http://key@127.0.0.1:{server.server_port}/1"
    wait, _ = reports(by_sentry(dsn, environment="test", release="1", server="here"))
    log_failure()
    wait()
    assert arrived.wait(20)
    server.shutdown()
    server.server_close()
