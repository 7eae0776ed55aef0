"""Requests that wait for events on a real server."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPResponse
from selectors import EVENT_READ, DefaultSelector
from typing import Any
from urllib.parse import urlencode

from apps.accounts.tests.people import Person
from apps.realtime.errors import POLLS_PER_USER
from apps.realtime.streams import USER
from testing.server import ServerProcess


class WaitingPoll:
    """One request, sent already, whose answer may come later."""

    def __init__(
        self,
        server: ServerProcess,
        reader: Person,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> None:
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=40)
        given = {"stream": USER.name(reader.user.pk), "after": 0, "wait": 25, **query}
        self.connection.request(
            "GET",
            f"/api/v1/events?{urlencode(given)}",
            headers={"Authorization": f"Bearer {reader.access}", **(headers or {})},
        )

    def __enter__(self) -> "WaitingPoll":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def answer(self) -> tuple[HTTPResponse, Any]:
        """Wait for the answer, and return it with its body."""
        response = self.connection.getresponse()
        return response, json.loads(response.read())

    def data(self) -> Any:
        """Wait for the answer, which must be a success, and return its data."""
        response, body = self.answer()
        assert response.status == 200, body
        return body["data"]

    def refusal(self) -> tuple[int, str]:
        """Wait for the answer, which must be a refusal, and return its status and code."""
        response, body = self.answer()
        assert body["success"] is False, body
        return response.status, body["code"]


def seqs(data: Any) -> list[int]:
    """Return the numbers of the events of a stream."""
    return [event["seq"] for event in data["events"]]


@contextmanager
def all_that_may_wait(
    server: ServerProcess, reader: Person, **query: Any
) -> Iterator[list[WaitingPoll]]:
    """Yield as many requests of a user as may wait at once, when all of them do: one more was
    refused."""
    with ExitStack() as opened:
        polls = [
            opened.enter_context(WaitingPoll(server, reader, **query))
            for _ in range(POLLS_PER_USER + 1)
        ]
        refused = answered_first(polls)
        assert refused.answer()[0].status == 429
        yield [poll for poll in polls if poll is not refused]


def answered_first(polls: Sequence[WaitingPoll]) -> WaitingPoll:
    """Wait until one of the requests is answered, and return it."""
    # select() takes no descriptor above 1,023.
    with DefaultSelector() as selector:
        for poll in polls:
            selector.register(poll.connection.sock, EVENT_READ, poll)
        answered = selector.select(30)
    assert answered, "None of them was answered."
    found: WaitingPoll = answered[0][0].data
    return found
