"""A pipe to write a process's output into, which nobody reads until the test does."""

import os
import select
import time
from contextlib import suppress

FILLING = b"-"


class UnreadPipe:
    """A pipe, as a context manager; `writer` is the number of the file to write into."""

    def __enter__(self) -> "UnreadPipe":
        self._reader, self.writer = os.pipe()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reader)
        os.close(self.writer)

    def fill(self) -> None:
        """Have the next one who writes a single byte wait."""
        os.set_blocking(self.writer, False)
        for size in (65536, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(self.writer, FILLING * size)
        os.set_blocking(self.writer, True)

    def read_until(self, text: str, *, seconds: float = 15) -> list[str]:
        """Read on, and return the lines that came, once one with the text is among them."""
        got, deadline = b"", time.monotonic() + seconds
        while text.encode() not in got or not got.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([self._reader], [], [], left)
            assert readable, f"No {text} within {seconds:.0f} s; got {got.lstrip(FILLING)[-500:]!r}"
            got += os.read(self._reader, 65536)
        return got.lstrip(FILLING).decode().splitlines()
