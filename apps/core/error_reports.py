"""Reports of errors to the administrators: by e-mail, and to Sentry.

A report leaves the machine. So it says what failed and where, and by which id the log has the rest.
It never has the text of an exception, the value of a variable or anything of a request, in which
secrets and the words of users may be.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import structlog

from apps.core.log_queue import FLUSH_SECONDS

# An error that repeats is reported once in this time, in seconds, and no more errors than MOST are:
# a database that is away fails every request. Each process counts by itself.
PERIOD_SECONDS = 3600.0
MOST = 10
# How many exceptions that led to each other, and how many places in the code, a report names.
LONGEST_CHAIN = 5
MOST_PLACES = 50
# The ids by which the log is searched.
IDS = ("request_id", "socket_id")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Place:
    """A place in the code."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Failure:
    """An exception without its text: its kind, and where it came from, the innermost place last."""

    kind: str
    places: Sequence[Place]


@dataclass(frozen=True)
class Report:
    """An error: what logged it, what happened, the failures that led to it, the first one first,
    and its ids. `withheld` is how many errors were not reported since the report before."""

    logger: str
    event: str
    failures: Sequence[Failure]
    ids: Mapping[str, str]
    withheld: int = 0

    @property
    def title(self) -> str:
        """Return the report in a few words."""
        kind = self.failures[-1].kind if self.failures else ""
        return f"{self.event}: {kind}" if kind else self.event


Sender = Callable[[Report], None]


class ErrorReports(logging.Handler):
    """Sends what is logged as an error, by a thread of its own: nothing waits for a mail server."""

    def __init__(self, senders: Sequence[Sender]) -> None:
        super().__init__(logging.ERROR)
        self._senders = senders
        self._queue: SimpleQueue[Report | threading.Event] = SimpleQueue()
        # When each error was reported, by time.monotonic().
        self._reported: dict[object, float] = {}
        self._withheld = 0
        self._thread = threading.Thread(target=self._run, name="error reports", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Have the error reported, unless it was a moment ago. The handler's lock is held here."""
        # What fails while a report is sent must not be reported as well.
        if threading.current_thread() is self._thread:
            return
        try:
            self._report_unless_repeated(record)
        except Exception:  # noqa: BLE001
            # What logs an error must not fail by it; the log has the error itself.
            self._withheld += 1

    def _report_unless_repeated(self, record: logging.LogRecord) -> None:
        exception = _exception_of(record)
        now = time.monotonic()
        self._reported = {
            one: at for one, at in self._reported.items() if now - at < PERIOD_SECONDS
        }
        sort = (record.name, _event_of(record), _sort_of(exception))
        if sort in self._reported or len(self._reported) >= MOST:
            self._withheld += 1
            return
        self._reported[sort] = now
        self._queue.put(_report(record, exception, self._withheld))
        self._withheld = 0

    def flush(self) -> None:
        """Wait until all reports are sent, for FLUSH_SECONDS at most."""
        sent = threading.Event()
        self._queue.put(sent)
        sent.wait(FLUSH_SECONDS)

    def _run(self) -> None:
        while True:
            taken = self._queue.get()
            if isinstance(taken, threading.Event):
                taken.set()
                continue
            for send in self._senders:
                try:
                    send(taken)
                except Exception as error:  # noqa: BLE001
                    kind = type(error).__name__
                    log.warning("error report not sent", by=send.__name__, error=kind)


def by_email(report: Report) -> None:
    """Send a report to ADMIN_EMAILS; raise what the mail server or its connection raises."""
    from django.conf import settings
    from django.core.mail import EmailMessage

    EmailMessage(
        subject=f"[{settings.APP_NAME} {settings.APP_ENV}] {report.title}"[:200],
        body="\n".join(_lines(report)),
        from_email=settings.SERVER_EMAIL,
        to=settings.ADMIN_EMAILS,
    ).send()


def by_sentry(dsn: str, *, environment: str, release: str, server: str) -> Sender:
    """Return what sends reports to the Sentry with this address; raise ImportError without its
    package. Nothing of Sentry's looks into the server by itself."""
    import sentry_sdk

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release,
        server_name=server,
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        max_breadcrumbs=0,
    )

    def to_sentry(report: Report) -> None:
        sentry_sdk.capture_event(sentry_event(report))

    return to_sentry


def sentry_event(report: Report) -> dict[str, Any]:
    """Return a report as Sentry's event (develop.sentry.dev, Event Payloads)."""
    values = [
        {
            "type": failure.kind,
            "stacktrace": {
                "frames": [
                    {"filename": place.file, "lineno": place.line, "function": place.function}
                    for place in failure.places
                ]
            },
        }
        for failure in report.failures
    ]
    return {
        "level": "error",
        "logger": report.logger,
        "message": report.event,
        "tags": dict(report.ids),
        "extra": {"withheld": report.withheld},
        **({"exception": {"values": values}} if values else {}),
    }


def _lines(report: Report) -> Iterator[str]:
    """Yield the text of an e-mail."""
    yield f"{report.title} ({report.logger})"
    yield from (f"{name}: {value}" for name, value in report.ids.items())
    for failure in report.failures:
        yield ""
        yield failure.kind
        yield from (f"  {place.file}:{place.line} {place.function}" for place in failure.places)
    yield ""
    yield "The log has the rest; search it for the id, or for the time of this e-mail."
    if report.withheld:
        yield f"{report.withheld} other errors were not reported since the report before."


def _report(record: logging.LogRecord, exception: BaseException | None, withheld: int) -> Report:
    fields = record.msg if isinstance(record.msg, dict) else {}
    known = {**structlog.contextvars.get_contextvars(), **fields}
    return Report(
        logger=record.name,
        event=_event_of(record),
        failures=[_failure(one) for one in reversed([*_chain(exception)])],
        ids={name: str(known[name]) for name in IDS if known.get(name)},
        withheld=withheld,
    )


def _event_of(record: logging.LogRecord) -> str:
    """Return what happened: our own events are constant, while the message of a library may hold
    anything, so its place in the code stands for it."""
    if isinstance(record.msg, dict):
        return str(record.msg["event"])
    return f"{record.name} in {record.funcName}()"


def _exception_of(record: logging.LogRecord) -> BaseException | None:
    fields = record.msg if isinstance(record.msg, dict) else {}
    given = fields.get("exc_info") or record.exc_info
    if isinstance(given, tuple):
        given = given[1]
    elif given and not isinstance(given, BaseException):
        # `True` stands for the one that is being handled.
        given = sys.exception()
    return given if isinstance(given, BaseException) else None


def _sort_of(exception: BaseException | None) -> object:
    """Return what two errors have in common that are the same fault."""
    if exception is None:
        return None
    return type(exception), *_places(exception)[-1:]


def _chain(exception: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that led to it, the last one first."""
    for _ in range(LONGEST_CHAIN):
        if exception is None:
            return
        yield exception
        hidden = exception.__suppress_context__
        exception = exception.__cause__ or (None if hidden else exception.__context__)


def _failure(exception: BaseException) -> Failure:
    kind = type(exception)
    return Failure(f"{kind.__module__}.{kind.__qualname__}", _places(exception))


def _places(exception: BaseException) -> list[Place]:
    places: list[Place] = []
    at = exception.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        places.append(Place(code.co_filename, at.tb_lineno, code.co_qualname))
        at = at.tb_next
    return places[-MOST_PLACES:]
