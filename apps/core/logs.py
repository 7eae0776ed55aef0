"""Structured logs: one event a line, as JSON or for a person."""

import logging
import logging.handlers
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from apps.core.log_queue import LogQueue
from apps.core.private import private_file
from apps.core.unbuffered import unbuffered

log = structlog.get_logger(__name__)

# What every line has, whoever logs it.
_COMMON: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(config: Mapping[str, str]) -> None:
    """Send every log line, of ours and of the libraries, through one renderer and one queue.

    `config` has level, format (json or console), output (stdout, stderr or file) and path.
    """
    _configure_structlog()
    queue = LogQueue(_output(config))
    queue.setFormatter(_formatter(config["format"]))
    logging.basicConfig(handlers=[queue], level=config["level"].upper(), force=True)
    _quieten_libraries()


def log_instead_of_printing() -> None:
    """Log what Python prints to stderr by itself: warnings, and exceptions that nobody catches in
    threads and in destructors. Whoever reads stderr may hang, and the event loop with them."""
    logging.captureWarnings(True)
    threading.excepthook = _log_end_of_thread
    sys.unraisablehook = _log_unraisable


def _log_end_of_thread(failure: threading.ExceptHookArgs) -> None:
    # The one exception that is an ordinary end.
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
        renderers = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Not its default, which shows the values of local variables, passwords among them.
        traceback = structlog.dev.plain_traceback
        renderers = [
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=traceback)
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_COMMON,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )


def _output(config: Mapping[str, str]) -> logging.Handler:
    if config["output"] == "file":
        return PrivateFileHandler(config["path"])
    stream = sys.stderr if config["output"] == "stderr" else sys.stdout
    return logging.StreamHandler(unbuffered(stream.fileno()))


def _quieten_libraries() -> None:
    # Our own line says all of theirs, and theirs would show the token in a websocket's address.
    for name in ("uvicorn", "uvicorn.access", "websockets", "daphne"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings are of what clients send that is no HTTP, as many lines as they like.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.error").addFilter(_is_no_refusal)
    logging.getLogger("django.request").setLevel(logging.ERROR)
    logging.getLogger("django.request").addFilter(_tells_more)
    # What a stranger sends that Django finds suspicious, a wrong Host or a form of very many
    # fields, is answered with 400 and needs no traceback.
    logging.getLogger("django.security").setLevel(logging.CRITICAL)
    logging.getLogger("django.channels.server").setLevel(logging.WARNING)
    # With APP_DEBUG it has a handler of its own, which prints each line once more to stderr.
    logging.getLogger("django").handlers.clear()


def _tells_more(record: logging.LogRecord) -> bool:
    """Django's line of an answer of 5xx, beside ours, is of use only when it has a traceback."""
    return record.exc_info is not None


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Uvicorn takes a websocket that was refused before its upgrade for a mistake of ours."""
    return "without completing handshake" not in record.getMessage()


class PrivateFileHandler(logging.handlers.WatchedFileHandler):
    """Writes a file that only we can read.

    Unlike a plain file handler it notices when logrotate has moved the file away, and then makes
    another one just as private.
    """

    def _open(self) -> Any:
        private_file(Path(self.baseFilename))
        return unbuffered(Path(self.baseFilename))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line. That its file cannot be opened any more fails no request."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)
