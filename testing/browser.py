"""Headless Chromium for tests, driven over Chrome's DevTools protocol.

`python -m testing.browser` says which one is used, and `make browser` installs one on Debian and
Ubuntu.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from testing.server import until

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    # Tests open pages of this machine's own servers only, and in CI they run as root.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    # Only one page is in front, and the others must not wait longer for their timers.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--remote-debugging-port=0",
)
ANSWER_SECONDS = 30


class BrowserUnavailable(Exception):
    """There is no Chromium; the message says how to get one."""


def browser_program() -> str:
    """Return Chromium: what CHROMIUM names, else what is on the PATH.

    Raises BrowserUnavailable when there is none.
    """
    for name in (os.environ.get("CHROMIUM", ""), *NAMES):
        if name and (found := shutil.which(name)):
            return found
    raise BrowserUnavailable(
        "Chromium is not on the PATH, and CHROMIUM does not name it; `make browser` installs it on "
        "Debian and Ubuntu."
    )


class Browser:
    """A running Chromium, whose pages tests control."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._calls = 0

    def call(self, method: str, session: str = "", **parameters: Any) -> Any:
        """Return the result of a call of the DevTools protocol; fail if it is refused."""
        self._calls += 1
        frame: dict[str, Any] = {"id": self._calls, "method": method, "params": parameters}
        if session:
            frame["sessionId"] = session
        self._connection.send(json.dumps(frame))
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            left = deadline - time.monotonic()
            answer = json.loads(self._connection.recv(timeout=max(0.0, left)))
            # All else that comes is what the browser reports by itself.
            if answer.get("id") == self._calls:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def profile(self) -> "Profile":
        """Return a new profile, whose pages share their storage with no others."""
        return Profile(self, self.call("Target.createBrowserContext")["browserContextId"])


class Profile:
    """What one person has in their browser: their pages, and what these have stored."""

    def __init__(self, browser: Browser, context: str) -> None:
        self.browser = browser
        self._context = context

    def open(self, url: str) -> "Page":
        """Return a new page that shows the address."""
        target = self.browser.call(
            "Target.createTarget", url="about:blank", browserContextId=self._context
        )["targetId"]
        page = Page(self.browser, target)
        page.go(url)
        return page

    def close(self) -> None:
        """Close all pages, and forget what they have stored."""
        self.browser.call("Target.disposeBrowserContext", browserContextId=self._context)


class Page:
    """One page."""

    def __init__(self, browser: Browser, target: str) -> None:
        self._browser = browser
        self._target = target
        attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str = attached["sessionId"]
        # Tests run code of their own in pages whose policy allows none.
        self._call("Page.setBypassCSP", enabled=True)

    def go(self, url: str) -> None:
        """Leave what the page shows, and show the address."""
        self._call("Page.navigate", url=url)
        until(lambda: self.run("document.readyState === 'complete' && location.href") == url)

    def run(self, code: str, /, **given: Any) -> Any:
        """Return the value of an expression, once it is there if it is a promise. `given` are its
        variables. Fail with what it throws."""
        names, values = ", ".join(given), ", ".join(map(json.dumps, given.values()))
        result = self._call(
            "Runtime.evaluate",
            expression=f"(async ({names}) => ({code}))({values})",
            awaitPromise=True,
            returnByValue=True,
        )
        thrown = result.get("exceptionDetails", {})
        assert not thrown, thrown["exception"].get("description", thrown)
        return result["result"].get("value")

    def close(self) -> None:
        """Close the page, as a user closes a tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def _call(self, method: str, **parameters: Any) -> Any:
        return self._browser.call(method, self._session, **parameters)


@contextmanager
def browser() -> Iterator[Browser]:
    """Yield a Chromium with an empty profile of its own; raises BrowserUnavailable."""
    program = browser_program()
    # Chromium's processes may still write when it has ended.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=_environment(folder))
        try:
            port, path = until(lambda: _listening(Path(folder)), seconds=60)
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listening(folder: Path) -> list[str]:
    """Return port and path of the DevTools, once Chromium has written them."""
    try:
        return (folder / "DevToolsActivePort").read_text().split()
    except OSError:
        return []


def _environment(folder: str) -> Mapping[str, str]:
    """Return the environment, with a home that Chromium may write to."""
    return {**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder}


if __name__ == "__main__":
    try:
        print(browser_program())
    except BrowserUnavailable as reason:
        sys.exit(str(reason))
