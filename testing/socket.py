"""A websocket client for tests: it waits for a frame, never for a time, and validates every frame
that it sends and gets against asyncapi.yaml."""

import json
import time
from contextlib import ExitStack
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from testing.frames import Frame, check_command, check_server_frame, wrong_in_command


class TestSocket:
    """One open websocket, with the frames that it got and that the test has not taken yet."""

    __test__ = False

    def __init__(self, url: str, *, token: str = "", query: str = "", **options: Any) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        address = f"{url.replace('http', 'ws', 1)}/ws{query}"
        self._opened = ExitStack()
        self._connection: ClientConnection = self._opened.enter_context(
            connect(address, additional_headers=headers, **options)
        )
        self.waiting: list[Frame] = []
        # The command of each requestId, which decides what its ack must contain.
        self._asked: dict[str, str] = {}

    def __enter__(self) -> "TestSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._opened.close()

    def send(self, kind: str, data: Any = None, *, wrong: bool = False, **more: Any) -> None:
        """Send one frame, which must be valid, or `wrong` if that is the purpose of the test."""
        frame = {"type": kind, "data": {} if data is None else data, **more}
        if wrong:
            assert wrong_in_command(frame), f"There is nothing wrong with {frame}"
        else:
            check_command(frame)
        if "requestId" in frame:
            self._asked[frame["requestId"]] = kind
        self.send_unchecked(json.dumps(frame))

    def send_unchecked(self, text: str | bytes) -> None:
        """Send a text or bytes as they are."""
        self._connection.send(text)

    def expect(self, kind: str, *, seconds: float = 10) -> Frame:
        """Return the next frame of that type; frames of other types keep waiting."""
        deadline = time.monotonic() + seconds
        while True:
            for frame in self.waiting:
                if frame["type"] == kind:
                    self.waiting.remove(frame)
                    return frame
            self._receive(max(0.0, deadline - time.monotonic()), kind)

    def receive(self) -> Frame:
        """Return the next frame, whatever its type."""
        if not self.waiting:
            self._receive(10, "frame")
        return self.waiting.pop(0)

    def ask(self, kind: str, data: Any = None, *, wrong: bool = False) -> Frame:
        """Send a frame and return its answer, which may be an error; see send()."""
        request_id = f"r{time.monotonic_ns()}"
        self.send(kind, data, wrong=wrong, requestId=request_id)
        while True:
            for frame in self.waiting:
                if frame.get("requestId") == request_id:
                    self.waiting.remove(frame)
                    return frame
            self._receive(10, f"an answer to {kind}")

    def settle_into(self) -> list[Frame]:
        """Return the waiting frames, with all that the server sent before now: it answers a ping
        after those."""
        self.ask("ping")
        return self.waiting

    def settle(self) -> list[Frame]:
        """Return every frame that the server sent before now, so that none waits any more."""
        frames, self.waiting = self.settle_into(), []
        return frames

    def closed_with(self, *, seconds: float = 10) -> int:
        """Wait until the server closes the socket and return its code."""
        try:
            while True:
                self._receive(seconds, "the close")
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    def _receive(self, seconds: float, what: str) -> None:
        try:
            frame = json.loads(self._connection.recv(timeout=seconds))
        except TimeoutError:
            got = [frame["type"] for frame in self.waiting]
            raise AssertionError(f"No {what} within {seconds:.0f} s; got {got}") from None
        check_server_frame(frame, self._asked.get(frame.get("requestId"), ""))
        self.waiting.append(frame)
