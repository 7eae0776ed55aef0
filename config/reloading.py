"""`serve --reload`, for development: the server starts again after each change of the sources."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from config.env import OWN_ENVIRONMENT
from config.stopping import when_told_to_stop

FOLDERS = ("apps", "config", "templates", "static")
SUFFIXES = {".py", ".html", ".css", ".js"}
LOOK_SECONDS = 0.5


class Reloader:
    """Runs this command without --reload, and stops and starts it after each change.

    The server has the terminal, so that a debugger can ask there, and gets its Ctrl-C too.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._server: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._seen: dict[Path, int] = {}

    def run(self) -> int:
        """Serve until told to stop, and return the exit code of the server. One that ends by itself
        before the first change ends this too; later it may be a mistake that is being typed."""
        when_told_to_stop(self._stop)
        code, changed = self._serve_until_change()
        while changed and not self._stopping:
            code, changed = self._serve_until_change()
            if not changed and not self._stopping:
                self._say("The server ended. It starts again after the next change.")
                changed = self._wait_for_change()
        return code

    def _serve_until_change(self) -> tuple[int, bool]:
        """Return the exit code of a server that ran, and whether it was stopped for a change."""
        self._seen = _sources()
        server = self._server = subprocess.Popen(
            [sys.executable, *(word for word in sys.orig_argv[1:] if word != "--reload")],
            env=OWN_ENVIRONMENT,
        )
        if self._stopping:
            server.terminate()
        changed = False
        while server.poll() is None:
            if not changed and _sources() != self._seen:
                changed = True
                server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(LOOK_SECONDS)
        return server.returncode, changed

    def _wait_for_change(self) -> bool:
        while not self._stopping and _sources() == self._seen:
            time.sleep(LOOK_SECONDS)
        return not self._stopping

    def _stop(self) -> None:
        self._stopping = True
        if self._server is not None:
            self._server.terminate()


def _sources() -> dict[Path, int]:
    """Return when each file of the sources was changed last."""
    changes = {}
    for folder in FOLDERS:
        for path in (settings.BASE_DIR / folder).rglob("*"):
            if path.suffix in SUFFIXES:
                # An editor may remove it at this moment.
                with suppress(OSError):
                    changes[path] = path.stat().st_mtime_ns
    return changes
