"""Structured logs: one event per line, as JSON or as text for a terminal."""

import logging
import logging.handlers
import sys
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

import structlog

from apps.core.error_reports import ErrorReports, Sender, by_email, by_sentry
from apps.core.log_lines import PROCESS, REQUEST_EVENT, REQUEST_LOGGER, as_text, request_text
from apps.core.log_queue import LogQueue
from apps.core.private import private_file
from apps.core.unbuffered import unbuffered

log = structlog.get_logger(__name__)

# Processors for every line, whether our code or a library logs it.
_COMMON: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
# Their text is left as it is: a traceback has lines of its own.
_AS_IT_IS = {"event", "exception", "exc_info", "level", "logger", "stack", "timestamp"}
_REQUEST_FIELDS = signature(request_text).parameters.keys() - {"at"}
_console = structlog.dev.ConsoleRenderer(
    colors=sys.stdout.isatty(),
    # The default shows the values of local variables, which may be passwords.
    exception_formatter=structlog.dev.plain_traceback,
    pad_event_to=0,
    pad_level=False,
)


def configure(config: Mapping[str, Any]) -> None:
    """Send every log line, ours and the libraries', through one renderer and one queue.

    `config` has level, format (json or console), output (stdout, stderr or file) and path. With
    `admin_emails`, or with `sentry`, the arguments of by_sentry(), errors are reported there.
    """
    _configure_structlog()
    form = config["format"]
    # They come first: at the end of the process the last handler is flushed first.
    reports = _reports(config)
    queue = LogQueue(_output(config), form, reports)
    queue.setFormatter(_formatter(form))
    logging.basicConfig(handlers=[queue], level=config["level"].upper(), force=True)
    _quieten_libraries()


def log_instead_of_printing() -> None:
    """Log what Python prints to stderr by itself: warnings, and uncaught exceptions in threads and
    destructors. The reader of stderr may hang, and the event loop would hang with it."""
    logging.captureWarnings(True)
    threading.excepthook = _log_end_of_thread
    sys.unraisablehook = _log_unraisable


def _log_end_of_thread(failure: threading.ExceptHookArgs) -> None:
    # SystemExit is how a thread ends on purpose.
    if failure.exc_type is not SystemExit:
        log.error("a thread failed", exc_info=failure.exc_value)


def _log_unraisable(failure: "sys.UnraisableHookArgs") -> None:
    log.error("an exception was ignored", exc_info=failure.exc_value)


def _configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_COMMON,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _formatter(form: str) -> logging.Formatter:
    renderers: list[structlog.types.Processor]
    if form == "json":
        renderers = [
            _add_process,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        renderers = [_render_text]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_COMMON,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )


def _add_process(_: Any, __: str, fields: structlog.types.EventDict) -> structlog.types.EventDict:
    return {**fields, "process": PROCESS}


def _render_text(logger: Any, name: str, fields: structlog.types.EventDict) -> str:
    """Return a line for people; that of a request as request_text() renders it."""
    if fields["logger"] == REQUEST_LOGGER and fields["event"] == REQUEST_EVENT:
        known = {"path": "", "user_id": "", "address": "", "created": "", **fields}
        at = known.pop("timestamp")
        return request_text(at=at, **{name: known[name] for name in _REQUEST_FIELDS})
    at = fields["timestamp"]
    shown = {name: value if name in _AS_IT_IS else as_text(value) for name, value in fields.items()}
    rendered = _console(logger, name, {**shown, "timestamp": f"{at[5:10]} {at[11:19]}"})
    return str(rendered)


def _reports(config: Mapping[str, Any]) -> ErrorReports | None:
    """Return what sends reports of errors, None if nobody wants them."""
    senders: list[Sender] = [by_email] if config.get("admin_emails") else []
    # A system check reports that the package is missing, before the server starts.
    if config.get("sentry") and find_spec("sentry_sdk"):
        senders.append(by_sentry(**config["sentry"], server=PROCESS))
    return ErrorReports(senders) if senders else None


def _output(config: Mapping[str, Any]) -> logging.Handler:
    if config["output"] == "file":
        return PrivateFileHandler(config["path"])
    stream = sys.stderr if config["output"] == "stderr" else sys.stdout
    return logging.StreamHandler(unbuffered(stream.fileno()))


def _quieten_libraries() -> None:
    # Our request line has all that theirs have, and theirs would show the token in a websocket URL.
    for name in ("uvicorn", "uvicorn.access", "websockets", "daphne"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns about every input that is not HTTP, so clients could fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").addFilter(_is_not_refused_handshake)
    logging.getLogger("django.request").setLevel(logging.ERROR)
    logging.getLogger("django.request").addFilter(_has_traceback)
    # Django logs a traceback for suspicious requests, such as a wrong Host or a form with too many
    # fields. They are answered with 400 and need no traceback.
    logging.getLogger("django.security").setLevel(logging.CRITICAL)
    logging.getLogger("django.channels.server").setLevel(logging.WARNING)
    # With APP_DEBUG Django adds a handler that prints each line a second time, to stderr.
    logging.getLogger("django").handlers.clear()


def _has_traceback(record: logging.LogRecord) -> bool:
    """Return whether Django's line about a 5xx answer adds a traceback to our own line."""
    return record.exc_info is not None


def _is_not_refused_handshake(record: logging.LogRecord) -> bool:
    """Return False for a refused websocket handshake, which uvicorn logs as an error of ours."""
    return "without completing handshake" not in record.getMessage()


class PrivateFileHandler(logging.handlers.WatchedFileHandler):
    """Writes a log file that only this account can read.

    Unlike a plain file handler it notices when logrotate has moved the file away, and then creates
    a new one with the same mode.
    """

    def _open(self) -> Any:
        private_file(Path(self.baseFilename))
        return unbuffered(Path(self.baseFilename))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line. A file that can no longer be opened must not fail a request."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)
