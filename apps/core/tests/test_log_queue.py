"""The log queue: lines are rendered by the thread that logs them, and written by another one."""

import gc
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings

from apps.core import log_queue
from apps.core.log_queue import LogQueue
from apps.core.logs import _formatter
from apps.core.unbuffered import unbuffered
from testing.pipe import UnreadPipe
from testing.server import run_python


class Log:
    """A separate logger, and the output of its queue."""

    def __init__(self, form: str = "", output: logging.Handler | None = None) -> None:
        self._written = io.StringIO()
        self._queue = LogQueue(output or logging.StreamHandler(self._written))
        if form:
            self._queue.setFormatter(_formatter(form))
        # It has no parent, so that the handlers of pytest do not get its lines.
        self.logger = logging.Logger(__name__)  # noqa: LOG001
        self.logger.addHandler(self._queue)

    def flush(self) -> None:
        self._queue.flush()

    def text(self) -> str:
        self.flush()
        return self._written.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]

    def close(self) -> None:
        self.flush()
        self._queue.close()


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log("json")
    yield log
    log.close()


def test_a_line_has_the_context_of_the_thread_that_logged_it(log: Log) -> None:
    def work(name: str) -> None:
        with structlog.contextvars.bound_contextvars(request_id=name):
            log.logger.warning("at work")

    for name in ("one", "two"):
        thread = threading.Thread(target=work, args=[name])
        thread.start()
        thread.join()
    assert [line["request_id"] for line in log.lines()] == ["one", "two"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_failure_keeps_its_traceback(form: str) -> None:
    log = Log(form)
    try:
        raise OSError("the disk is on fire")
    except OSError:
        log.logger.exception("that went wrong")
    text = log.text()
    log.close()
    assert "that went wrong" in text
    assert "Traceback (most recent call last)" in text
    assert "OSError: the disk is on fire" in text
    assert "test_a_failure_keeps_its_traceback" in text


def test_an_argument_that_changes_later_is_logged_as_it_was(log: Log) -> None:
    names = ["alice"]
    log.logger.warning("users: %s", names)
    names.append("bob")
    assert [line["event"] for line in log.lines()] == ["users: ['alice']"]


def test_a_line_may_be_logged_while_another_is_rendered(log: Log) -> None:
    class Talkative:
        def __str__(self) -> str:
            log.logger.warning("inner")
            return "outer"

    log.logger.warning("%s", Talkative())
    assert [line["event"] for line in log.lines()] == ["inner", "outer"]


def test_a_destructor_may_log_at_any_moment(log: Log) -> None:
    def collected(phase: str, info: object) -> None:
        log.logger.warning("collected")

    def work() -> None:
        for _ in range(500):
            log.logger.warning("worked")

    working = threading.Thread(target=work, daemon=True)
    thresholds = gc.get_threshold()
    gc.callbacks.append(collected)
    try:
        gc.set_threshold(1)
        working.start()
        working.join(timeout=20)
    finally:
        gc.callbacks.remove(collected)
        gc.set_threshold(*thresholds)
    assert not working.is_alive()
    events = [line["event"] for line in log.lines()]
    assert events.count("worked") == 500
    assert "collected" in events


def test_a_line_that_cannot_be_rendered_is_reported_and_raises_nothing(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.logger.warning("%d users", "many")
    [line] = log.lines()
    assert line["event"].startswith("a log line could not be rendered (")
    assert "test_log_queue.py" in line["event"]
    assert "TypeError" in line["exception"]
    assert capsys.readouterr().err == ""


class HeldHandler(logging.Handler):
    """Signals the beginning of each write, and waits for permission to end it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.begun.release()
        assert self.may_end.acquire(timeout=20)
        self.written.append(record.getMessage())


def test_lines_are_dropped_until_all_earlier_ones_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise the line that counts them would not be in their place."""
    monkeypatch.setattr(log_queue, "MOST_LINES", 2)
    output = HeldHandler()
    log = Log(output=output)
    log.logger.warning("first")
    assert output.begun.acquire(timeout=20)
    for word in ("second", "third", "lost"):
        log.logger.warning(word)
    output.may_end.release()
    assert output.begun.acquire(timeout=20)
    log.logger.warning("lost as well, though the queue is empty")
    output.may_end.release(10)
    log.flush()
    log.logger.warning("last")
    log.close()
    assert output.written == ["first", "second\nthird", "2 log lines were lost", "last"]


def test_a_whole_line_is_written_to_a_non_blocking_file() -> None:
    """Programs that share a terminal may make it non-blocking."""
    line = "x" * 300_000
    with UnreadPipe() as pipe:
        os.set_blocking(pipe.writer, False)
        stream = unbuffered(pipe.writer)
        writing = threading.Thread(target=stream.write, args=[f"{line}\n"])
        writing.start()
        assert pipe.read_until("\n") == [line]
        writing.join()


# A process that logs more than a pipe can hold, and then exits.
SHORT_LIVED = """
import logging, sys
from apps.core import log_queue
from apps.core.logs import configure

log_queue.FLUSH_SECONDS = float(sys.argv[2])
configure({"level": "info", "format": "json", "output": sys.argv[1], "path": "/dev/stdout"})
for number in range(1000):
    logging.info("%d %s", number, "x" * 200)
sys.exit(3)
"""
everywhere = pytest.mark.parametrize("output", ["stdout", "stderr", "file"])


def short_lived(output: str, seconds: float) -> list[str]:
    return [sys.executable, "-c", SHORT_LIVED, output, str(seconds)]


@everywhere
def test_a_process_writes_all_lines_before_it_ends(output: str) -> None:
    ended = subprocess.run(
        short_lived(output, 15),
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=20,
        check=False,
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [int(line["event"].split()[0]) for line in lines] == list(range(1000))
    assert ended.returncode == 3


@everywhere
def test_a_process_whose_output_is_not_read_ends(output: str) -> None:
    with UnreadPipe() as pipe:
        pipe.fill()
        ended = subprocess.run(
            short_lived(output, 0.1),
            cwd=settings.BASE_DIR,
            stdout=pipe.writer,
            stderr=pipe.writer,
            timeout=20,
            check=False,
        )
    assert ended.returncode == 3


# What Python would print to stderr by itself.
UNCAUGHT = """
import sys, threading, warnings
from apps.core.logs import configure, log_instead_of_printing

configure({"level": "info", "format": "json", "output": "stdout", "path": ""})
log_instead_of_printing()

class Fragile:
    def __del__(self):
        raise OSError("in a destructor")

def fail(error):
    raise error

for error in (OSError("in a thread"), SystemExit("as ever")):
    thread = threading.Thread(target=fail, args=[error])
    thread.start()
    thread.join()
Fragile()
warnings.warn("of something old", RuntimeWarning)
"""


def test_what_python_would_print_is_logged() -> None:
    ended = run_python("-c", UNCAUGHT)
    thread, destructor, warning = map(json.loads, ended.stdout.splitlines())
    assert "OSError: in a thread" in thread["exception"]
    assert "OSError: in a destructor" in destructor["exception"]
    assert "RuntimeWarning: of something old" in warning["event"]
    assert ended.stderr == ""
