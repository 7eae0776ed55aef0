"""A pipe for the output of a process, which is not read until the test reads it."""

import os
import select
import time
from contextlib import suppress

FILLING = b"-"


class UnreadPipe:
    """A pipe, as a context manager; `writer` is the file descriptor to write to."""

    def __enter__(self) -> "UnreadPipe":
        self._reader, self.writer = os.pipe()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reader)
        os.close(self.writer)

    def fill(self) -> None:
        """Fill the pipe, so that the next write of a single byte blocks."""
        os.set_blocking(self.writer, False)
        for size in (65536, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(self.writer, FILLING * size)
        os.set_blocking(self.writer, True)

    def read_until(self, text: str, *, seconds: float = 15) -> list[str]:
        """Read until a line has the text, and return all lines that came."""
        got, deadline = b"", time.monotonic() + seconds
        while text.encode() not in got or not got.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([self._reader], [], [], left)
            assert readable, f"No {text} within {seconds:.0f} s; got {got.lstrip(FILLING)[-500:]!r}"
            got += os.read(self._reader, 65536)
        return got.lstrip(FILLING).decode().splitlines()
