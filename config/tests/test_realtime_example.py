"""The worked example of docs/realtime.md is what a server does, frame by frame.

With RECORD_EXAMPLES=1 the frames of the server are written to the page.
"""

import json
import os
import re
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from typing import Any

import httpx
import pytest

from apps.accounts.tests.people import Person, person
from apps.realtime.models import LoggedEvent
from config.tests.pages import DOCS, section
from testing.frames import check_command, check_server_frame
from testing.server import ServerProcess, until
from testing.socket import TestSocket

PAGE, TITLE = "realtime.md", "A worked example"
RECORDS = bool(os.environ.get("RECORD_EXAMPLES"))
# A line of the example, with the lines that continue it.
LINE = re.compile(r"^    ([→←]) (.*(?:\n     .*)*)$", re.MULTILINE)
# What differs from one run to the next: ids, epochs, times and durations.
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{12}\b")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
DURATION = re.compile(r'"durationMs": [\d.]+')
ADA, BEN = (f"01930e1c-7f6a-7b3e-9c1d-{number:012}" for number in (1, 2))
WIDTH = 110

Line = tuple[str, str]


def steps(text: str) -> Iterator[tuple[str, list[Line]]]:
    """Yield the title of each step, and its lines: the arrow and what stands behind it."""
    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        title, _, rest = part.partition("\n")
        yield title, [(arrow, _joined(behind)) for arrow, behind in LINE.findall(rest)]


def _joined(text: str) -> str:
    return "".join(line.strip() + " " for line in text.splitlines()).strip()


class Names:
    """The ids of the page, and those of the run that they stand for."""

    def __init__(self, **known: str) -> None:
        self._real = dict(known)
        self._numbers = count(3)

    def real(self, text: str) -> str:
        """Return a text of the page with the ids of the run."""
        return ID.sub(lambda found: self._real.get(found[0], found[0]), text)

    def learn(self, page: str, real: str) -> None:
        """Learn which ids of the page stand for which, from two texts that should be alike."""
        for name, value in zip(ID.findall(page), ID.findall(real), strict=False):
            self._real.setdefault(name, value)

    def page(self, text: str) -> str:
        """Return a text of the run with ids of the page; those that it lacks get a new one."""
        names = {value: name for name, value in self._real.items()}

        def name(found: "re.Match[str]") -> str:
            value = found[0]
            if value not in names:
                names[value] = (
                    "9c1d00000001"
                    if len(value) == 12
                    else f"01930e1c-7f6a-7b3e-9c1d-{next(self._numbers):012}"
                )
                self._real[names[value]] = value
            return names[value]

        return ID.sub(name, text)


def timeless(text: str) -> str:
    """Return a text without what differs from one run to the next, except ids."""
    return DURATION.sub('"durationMs": 1.5', TIME.sub("2026-01-31T12:00:00Z", text))


def comparable(line: str) -> str:
    """Return a line with its members in one order."""
    status, brace, rest = line.partition("{")
    return status + json.dumps(json.loads(brace + rest), ensure_ascii=False, sort_keys=True)


class Replay:
    """Ada's client, which does what the page says."""

    def __init__(self, server: ServerProcess, opened: ExitStack) -> None:
        self.server = server
        self.opened = opened
        self.ada, self.ben = person("Ada"), person("Ben")
        self.names = Names(**{ADA: self.ada.id, BEN: self.ben.id})
        self.unread = [self._write(number) for number in range(8)]
        self.answer: Future[httpx.Response] | None = None
        self.connect()

    def connect(self) -> None:
        """Open a socket."""
        socket = TestSocket(self.server.url, token=self.ada.access)
        self.socket = self.opened.enter_context(socket)

    def break_(self) -> None:
        """Lose the socket."""
        self.socket.close()
        until(lambda: self.server.open_sockets() == 0)

    def read(self) -> None:
        """Have Ben read a message."""
        body = {"messageIds": [self.unread.pop(0)]}
        self._request("POST", "/api/v1/messages/read", self.ben, json=body)

    def lose(self) -> None:
        """Lose an event on its way."""
        self.socket.expect("read_receipt")

    def lose_answer(self) -> None:
        """Lose the socket together with the answer to a message."""
        self.socket.expect("ack")
        self.break_()
        self.connect()
        self.socket.expect("connected")

    def forget(self) -> None:
        """Have the log begin with event 11."""
        LoggedEvent.objects.filter(stream=f"user.{self.ada.id}", seq__lte=10).delete()

    def send(self, text: str) -> None:
        """Send what the page says."""
        real = self.names.real(text)
        if real.startswith("GET "):
            pool = self.opened.enter_context(ThreadPoolExecutor(1))
            self.answer = pool.submit(self._request, "GET", real.removeprefix("GET "), self.ada)
            self.read()
        else:
            frame = json.loads(real)
            check_command(json.loads(text))
            self.socket.send(frame.pop("type"), frame.pop("data", None), **frame)

    def receive(self, text: str) -> str:
        """Return what comes in place of a line of the page, with the ids of the page."""
        real, found = None, ""
        if self.answer is None:
            real = self.socket.receive()
        else:
            answer = self.answer.result(30)
            self.answer, real, found = None, answer.json(), f"{answer.status_code} "
        shown = found + json.dumps(real, ensure_ascii=False)
        if not RECORDS:
            self.names.learn(comparable(text), comparable(shown))
        return timeless(self.names.page(shown))

    def _write(self, number: int) -> str:
        body = {"receiverId": self.ben.id, "content": f"Ahoy {number}"}
        sent = self._request("POST", "/api/v1/messages", self.ada, json=body)
        message: str = sent.json()["data"]["id"]
        return message

    def _request(self, method: str, path: str, user: Person, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {user.access}", "X-Request-ID": "a-1"}
        return self.server.call(method, path, headers=headers, **options).raise_for_status()


# What happens before the lines of a step, apart from them.
HAPPENS: dict[str, list[Callable[[Replay], None]]] = {
    "Receive": [Replay.read],
    "Miss": [Replay.break_, Replay.read],
    "Resume": [Replay.connect],
    "Gap": [Replay.read, Replay.read, Replay.lose],
    "Heads": [Replay.read, Replay.lose],
    "Reset": [Replay.forget],
    "Send again": [Replay.lose_answer],
}


def replayed(server: ServerProcess, text: str) -> Iterator[tuple[str, str]]:
    """Yield each line of the server as the page has it, and as it comes."""
    with ExitStack() as opened:
        replay = Replay(server, opened)
        for title, lines in steps(text):
            for happen in HAPPENS.get(title, []):
                happen(replay)
            for arrow, line in lines:
                if arrow == "→":
                    replay.send(line)
                else:
                    yield line, replay.receive(line)


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_the_frames_of_the_example_are_those_of_a_server(server: ServerProcess) -> None:
    for line, found in (lines := list(replayed(server, section(PAGE, TITLE)))):
        assert RECORDS or comparable(line) == comparable(found)
    if RECORDS:
        record([found for _, found in lines])


def test_the_frames_of_the_example_are_valid() -> None:
    shown = [line for _, lines in steps(section(PAGE, TITLE)) for line in lines]
    frames = [(arrow, json.loads(line)) for arrow, line in shown if line.startswith("{")]
    assert len(frames) > 20
    for arrow, frame in frames:
        if arrow == "→":
            check_command(frame)
        else:
            check_server_frame(frame)


def record(found: list[str]) -> None:
    """Write the frames of the server to the page."""
    before, heading, text = (DOCS / PAGE).read_text().partition(f"## {TITLE}\n")
    frames = iter(found)

    def line(old: "re.Match[str]") -> str:
        shown = _joined(old[2]) if old[1] == "→" else next(frames)
        lines = textwrap.wrap(shown, WIDTH, break_long_words=False, break_on_hyphens=False)
        return f"    {old[1]} " + "\n       ".join(lines)

    (DOCS / PAGE).write_text(before + heading + LINE.sub(line, text))
